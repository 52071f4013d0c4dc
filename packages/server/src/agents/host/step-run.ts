import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type FuseError, failure } from "@fuseml/core/errors";
import { redactor } from "@fuseml/core/redact";
import type { KnownOutputs } from "@fuseml/core/run/complete";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { StepEvent } from "@fuseml/core/run/state";
import { instant } from "../../platform/clock.ts";
import { asDiskFull, writeAtomically } from "../../platform/files/atomic.ts";
import type { SegmentContext } from "../../runs/workload-agent.ts";
import type { HostAgentParts } from "./parts.ts";
import { begunAt, files, readOutcome } from "./step-directory.ts";
import { LogPump } from "./step-log.ts";
import { type Ended, failed, judge } from "./step-outcome.ts";
import { StepProcess } from "./step-process.ts";
import { prepareStep } from "./step-setup.ts";

export type Halt = "cancel" | "shutdown";

/** One step run of a segment. Everything that must be known of it after a crash is in its directory. */
export class StepRun {
  private readonly step: StepSpec;
  private readonly runId: string;
  private readonly directory: string;
  private readonly context: SegmentContext;
  private readonly parts: HostAgentParts;
  private process: StepProcess | undefined;
  private stopped: Halt | undefined;
  private endedByUs: Ended | undefined;
  begun = false;

  constructor(step: StepSpec, runId: string, directory: string, context: SegmentContext, parts: HostAgentParts) {
    this.step = step;
    this.runId = runId;
    this.directory = directory;
    this.context = context;
    this.parts = parts;
  }

  private at(): string {
    return instant(this.parts.clock);
  }

  /**
   * Runs the step, goes on with what is under way, or reads how it ended.
   * @param mayBegin asked at the last moment before the step is started
   * @returns nothing when it was halted, or was not to begin
   */
  async run(
    outputs: KnownOutputs,
    emit: (event: StepEvent) => void,
    mayBegin: () => boolean,
  ): Promise<StepEvent | undefined> {
    const { directory } = this;
    const known = readOutcome(directory);
    if (known) return known;
    if (existsSync(join(directory, files.cancelled))) return undefined;
    const mask = redactor([...(this.context.extensions[this.step.name]?.secrets ?? []), this.context.token]);
    const adopted = StepProcess.adopt(directory);
    const request = { run: this.runId, project: this.context.project, limits: this.context.limits ?? {} };
    const release = adopted ? this.parts.slots.take(request) : await this.parts.slots.acquire(request);
    let pump: LogPump | undefined;
    try {
      this.process = adopted;
      this.begun = adopted !== undefined;
      if (!this.process) {
        if (!this.goesOn(mayBegin)) return undefined;
        const prepared = await prepareStep(this.step, this.runId, directory, outputs, this.context, this.parts);
        this.process = await StepProcess.start(directory, this.parts.workers, prepared, () => {
          this.begun = this.goesOn(mayBegin);
          return this.begun;
        });
        if (!this.process) return this.interrupted();
      }
      pump = new LogPump(join(directory, files.raw), join(directory, files.log), mask);
      emit({ type: "started", step: this.step.name, attempt: this.step.attempt, at: this.at() });
      const end = await this.watched(this.process, pump);
      pump.finish();
      pump = undefined;
      if (this.stopped) return this.interrupted();
      return this.record(judge(this.step, end, directory, this.at(), this.endedByUs));
    } catch (error) {
      pump?.finish();
      if (this.stopped) return this.interrupted();
      return this.record(failed(this.step, this.explain(error, mask), directory, this.at()));
    } finally {
      this.process = undefined;
      release();
      rmSync(join(directory, files.work), { recursive: true, force: true });
    }
  }

  private goesOn(mayBegin: () => boolean): boolean {
    return this.stopped === undefined && mayBegin();
  }

  /** Waits for the end of the command, and ends it when it takes too long or prints too much. */
  private async watched(running: StepProcess, pump: LogPump) {
    const { parts, step } = this;
    const endIt = (why: Ended) => {
      if (this.endedByUs || this.stopped) return;
      this.endedByUs = why;
      running
        .stop(parts.graceMs)
        .catch((error: unknown) => parts.log.error({ err: error }, "a step could not be ended"));
    };
    pump.start(
      (error) => parts.log.warn({ err: error, step: step.name }, "a step's log could not be written"),
      parts.logLimitBytes,
      () => endIt({ logLimitBytes: parts.logLimitBytes }),
    );
    const timer = this.untilTimeout((timeoutMs) => endIt({ timeoutMs }));
    try {
      if (this.stopped) await running.stop(parts.graceMs);
      return await running.ended();
    } finally {
      clearTimeout(timer);
    }
  }

  private untilTimeout(expired: (timeoutMs: number) => void): NodeJS.Timeout | undefined {
    const { timeoutMs } = this.step;
    if (timeoutMs === undefined) return undefined;
    const claim = join(this.directory, files.claim);
    const since = existsSync(claim) ? begunAt(this.directory) : this.parts.clock();
    const left = Math.max(0, Math.min(since + timeoutMs - this.parts.clock(), timeoutMs));
    return setTimeout(() => expired(timeoutMs), left).unref();
  }

  /** Ends the command and its children. With `shutdown` its traces go, too: it will run afresh. */
  async halt(how: Halt): Promise<void> {
    this.stopped ??= how;
    await this.process?.stop(how === "cancel" ? this.parts.graceMs : Math.min(1000, this.parts.graceMs));
  }

  private interrupted(): undefined {
    if (this.stopped === "shutdown") rmSync(this.directory, { recursive: true, force: true });
    return undefined;
  }

  private explain(error: unknown, mask: (text: string) => string): Partial<FuseError> & Error {
    const known = asDiskFull(error, this.directory) as Partial<FuseError> & Error;
    if (known.code && known.hint !== undefined) return known;
    return failure("step.not-started", { step: this.step.name, reason: mask(known.message) }, { cause: error });
  }

  /** The outcome is on the disk before it is told: after a crash it is told again, not worked out again. */
  private record(event: StepEvent): StepEvent {
    try {
      writeAtomically(join(this.directory, files.outcome), JSON.stringify(event), 0o600, { sync: false });
    } catch (error) {
      // on a full disk the outcome lives in the database only
      this.parts.log.error({ err: error, directory: this.directory }, "the outcome of a step could not be written");
    }
    return event;
  }
}
