import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, type ProcessIdentity } from "../../platform/processes/identity.ts";
import {
  endWorkerGroup,
  type ShellWorker,
  type ShellWorkers,
  type WorkerJob,
} from "../../platform/processes/shell-worker.ts";
import { outputLimitBytes } from "../../runs/workload-agent.ts";
import { files, isBegun } from "../segments/step-directory.ts";
import type { RunningStep, StepEnd, StepOutput } from "../segments/step-engine.ts";
import { exitStatus, readClaim } from "./claim.ts";

const pollMs = 100;
/** So long a claim may be incomplete: it is written at once. */
const tornMs = 2000;

const pause = (ms: number): Promise<void> => sleep(ms, undefined, { ref: false });

/** A step's command, under way in a worker of this server or of a former one. */
export class StepProcess implements RunningStep {
  private readonly directory: string;
  private identity: ProcessIdentity | "torn" | undefined;
  private closed: Promise<void> | undefined;
  private isOver = false;
  private stopped = false;

  private constructor(directory: string, identity: ProcessIdentity | "torn" | undefined) {
    this.directory = directory;
    this.identity = identity;
  }

  /**
   * Starts the command in a directory of its own, unless one was started there before: then that one is meant.
   * @param begin called at the moment from which it cannot be taken back
   */
  static async start(
    directory: string,
    workers: ShellWorkers,
    of: Pick<WorkerJob, "command" | "cwd" | "env">,
    begin: () => boolean,
  ): Promise<StepProcess | undefined> {
    const worker = await workers.borrow();
    if (!begin()) {
      workers.giveBack(worker);
      return undefined;
    }
    const job: WorkerJob = {
      ...of,
      log: join(directory, files.raw),
      claim: join(directory, files.claim),
      exit: join(directory, files.exit),
    };
    const step = new StepProcess(directory, worker.identity);
    step.closed = step.runIn(worker, job, workers).then(() => {
      step.isOver = true;
    });
    return step;
  }

  private async runIn(worker: ShellWorker, job: WorkerJob, workers: ShellWorkers): Promise<void> {
    await worker.run(job);
    // a worker whose group is being ended dies at any moment
    if (this.stopped) worker.dismiss();
    else workers.giveBack(worker);
    const claim = readClaim(this.directory);
    if (claim === undefined && !this.stopped) {
      // the worker was dead before it read the job: nothing was started
      const next = await workers.borrow();
      this.identity = next.identity;
      if (!this.stopped) return this.runIn(next, job, workers);
      next.dismiss();
    }
    // a shell of a server that was killed at the same step was faster
    if (claim && claim !== "torn" && claim.pid !== worker.identity.pid) {
      await StepProcess.adopt(this.directory)?.ended();
    }
  }

  /** What a former server began in this directory, or nothing when it began nothing. */
  static adopt(directory: string): StepProcess | undefined {
    return isBegun(directory) ? new StepProcess(directory, readClaim(directory)) : undefined;
  }

  /** Waits for the end. */
  async ended(): Promise<StepEnd> {
    if (this.closed) {
      await this.closed;
      return this.end();
    }
    const since = performance.now();
    for (;;) {
      if (exitStatus(this.directory) !== undefined) return this.end();
      const identity = this.identity === "torn" ? readClaim(this.directory) : this.identity;
      const waitsForClaim = identity === "torn" && performance.now() - since < tornMs;
      const lives = identity !== undefined && identity !== "torn" && isAlive(identity);
      // the status may have been written between the two looks
      if (!lives && !waitsForClaim) return this.end();
      await pause(pollMs);
    }
  }

  private end(): StepEnd {
    const code = exitStatus(this.directory);
    return code === undefined ? { type: "gone" } : { type: "exited", code };
  }

  async output(name: string): Promise<StepOutput | undefined> {
    const file = join(this.directory, files.results, name);
    if (!existsSync(file)) return undefined;
    const { size } = statSync(file);
    return size > outputLimitBytes ? { size } : { size, text: readFileSync(file, "utf8") };
  }

  /** All that is left of a process is in its directory. */
  dispose(): Promise<void> {
    return Promise.resolve();
  }

  /** Ends the command and its children. */
  async stop(graceMs: number): Promise<void> {
    this.stopped = true;
    const { identity } = this;
    if (identity === undefined || identity === "torn") return;
    const over = () => this.isOver || existsSync(join(this.directory, files.exit));
    await endWorkerGroup(identity, graceMs, over, pause);
  }
}
