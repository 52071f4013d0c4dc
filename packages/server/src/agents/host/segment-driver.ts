import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type FuseError, failure } from "@fuseml/core/errors";
import { redactor } from "@fuseml/core/redact";
import { completeStep, type Segment } from "@fuseml/core/run/plan";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { Outputs, RunError, StepEvent } from "@fuseml/core/run/state";
import { instant } from "../../platform/clock.ts";
import { asDiskFull, writeAtomically } from "../../platform/files/atomic.ts";
import { outputLimitBytes, type SegmentContext } from "../../runs/workload-agent.ts";
import type { HostAgentParts } from "./parts.ts";
import { LogPump, tailOf } from "./step-log.ts";
import { type ProcessEnd, StepProcess } from "./step-process.ts";

/** What is in the directory of a step. */
export const files = {
  outcome: "outcome.json",
  raw: "raw.log",
  log: "log",
  results: "results",
  work: "work",
  cancelled: "cancelled",
} as const;

const attempt = 1;

/** Runs the steps of one segment, one after the other. Everything it must know after a crash is in its directory. */
export class SegmentDriver {
  readonly finished: Promise<void>;
  private readonly segment: Segment;
  private readonly context: SegmentContext;
  private readonly directory: string;
  private readonly parts: HostAgentParts;
  private readonly emit: (event: StepEvent) => void;
  private current: StepProcess | undefined;
  private stop: "cancel" | "shutdown" | undefined;

  constructor(
    segment: Segment,
    context: SegmentContext,
    directory: string,
    parts: HostAgentParts,
    emit: (event: StepEvent) => void,
  ) {
    this.segment = segment;
    this.context = context;
    this.directory = directory;
    this.parts = parts;
    this.emit = emit;
    this.finished = this.drive();
  }

  /** Ends the step under way and its children. With `shutdown` its traces go, too: it will run afresh. */
  async halt(how: "cancel" | "shutdown"): Promise<void> {
    this.stop = how;
    if (how === "cancel") writeAtomically(join(this.directory, files.cancelled), "");
    await this.current?.end(how === "cancel" ? this.parts.graceMs : 1000);
    await this.finished;
  }

  private async drive(): Promise<void> {
    if (existsSync(join(this.directory, files.cancelled))) this.stop = "cancel";
    const outputs = new Map<string, Outputs>(this.context.finished);
    for (const step of this.segment.steps) {
      if (outputs.has(step.name)) continue;
      if (this.stop) break;
      const outcome = await this.runStep(step, outputs);
      if (!outcome) break;
      this.emit(outcome);
      if (outcome.type !== "succeeded") break;
      outputs.set(step.name, outcome.outputs);
    }
  }

  private at(): string {
    return instant(this.parts.clock);
  }

  /** Runs a step, goes on with one that is under way, or reads how it ended. Nothing when it was interrupted. */
  private async runStep(step: StepSpec, outputs: ReadonlyMap<string, Outputs>): Promise<StepEvent | undefined> {
    const directory = join(this.directory, step.name);
    const known = join(directory, files.outcome);
    if (existsSync(known)) return JSON.parse(readFileSync(known, "utf8")) as StepEvent;
    const secrets = [...(this.context.extensions[step.name]?.secrets ?? []), this.context.token];
    const mask = redactor(secrets);
    let pump: LogPump | undefined;
    try {
      let running = StepProcess.adopt(directory);
      const prepared = running ? undefined : await this.prepare(step, directory, outputs);
      if (this.stop) return this.interrupted(directory);
      pump = new LogPump(join(directory, files.raw), join(directory, files.log), mask);
      running ??= await StepProcess.start(directory, { ...(prepared as Prepared), log: join(directory, files.raw) });
      this.current = running;
      this.emit({ type: "started", step: step.name, attempt, at: this.at() });
      pump.start((error) => this.parts.log.warn({ err: error, step: step.name }, "a step's log could not be written"));
      if (this.stop) await running.end(this.parts.graceMs);
      const end = await running.ended();
      this.current = undefined;
      pump.finish();
      pump = undefined;
      if (this.stop) return this.interrupted(directory);
      return this.record(directory, this.judge(step, end, directory));
    } catch (error) {
      this.current = undefined;
      pump?.finish();
      if (this.stop) return this.interrupted(directory);
      const known = asDiskFull(error, directory) as Partial<FuseError> & Error;
      const cause =
        known.code && known.hint !== undefined
          ? known
          : failure("step.not-started", { step: step.name, reason: mask(known.message) }, { cause: error });
      return this.record(directory, this.failed(step, cause, directory));
    } finally {
      rmSync(join(directory, files.work), { recursive: true, force: true });
    }
  }

  private interrupted(directory: string): undefined {
    if (this.stop === "shutdown") rmSync(directory, { recursive: true, force: true });
    return undefined;
  }

  /** The outcome is on the disk before it is told: after a crash it is told again, not worked out again. */
  private record(directory: string, event: StepEvent): StepEvent {
    try {
      writeAtomically(join(directory, files.outcome), JSON.stringify(event), 0o600, { sync: false });
    } catch (error) {
      // on a full disk the outcome lives in the database only
      this.parts.log.error({ err: error, directory }, "the outcome of a step could not be written");
    }
    return event;
  }

  private async prepare(step: StepSpec, directory: string, outputs: ReadonlyMap<string, Outputs>): Promise<Prepared> {
    if (existsSync(directory)) rmSync(directory, { recursive: true, force: true });
    const results = join(directory, files.results);
    const work = join(directory, files.work);
    mkdirSync(results, { recursive: true, mode: 0o700 });
    mkdirSync(work, { recursive: true });
    const extensions = this.context.extensions[step.name]?.variables ?? {};
    const complete = completeStep(step, outputs, extensions);
    if ("missing" in complete) throw new Error(`${complete.missing} is not known`);
    const recipe = this.parts.recipes.find(complete.image);
    if (!recipe) throw failure("host.image-without-recipe", { image: complete.image, step: step.name });
    let cwd = work;
    for (const [index, codeset] of step.codesets.entries()) {
      const target = join(work, ...codeset.path.split("/").filter((part) => part && part !== ".."));
      await this.parts.code.checkout(codeset.address.project, codeset.address.name, codeset.address.version, target);
      markOrigin(target, codeset.address);
      if (index === 0) cwd = target;
    }
    const only = step.outputs.length === 1 ? step.outputs[0] : undefined;
    const env: Record<string, string> = {
      ...this.parts.baseEnv,
      ...recipe.env,
      FUSEML_ENV_WORKFLOW_NAME: this.context.workflow,
      FUSEML_ENV_WORKFLOW_NAMESPACE: this.parts.namespace,
      FUSEML_RUN_ID: this.segment.runId,
      FUSEML_STEP_NAME: step.name,
      FUSEML_SERVER_URL: this.context.serverUrl,
      FUSEML_TOKEN: this.context.token,
      FUSEML_RESULTS_DIR: results,
      ...(only ? { TASK_RESULT: only } : {}),
      ...complete.variables,
    };
    return { command: recipe.command, cwd, env };
  }

  private judge(step: StepSpec, end: ProcessEnd, directory: string): StepEvent {
    if (end.type === "gone") return this.failed(step, failure("step.vanished", { step: step.name }), directory);
    if (end.code > 128 && end.code <= 192) {
      const signal = signalName(end.code - 128);
      return this.failed(step, failure("step.killed", { step: step.name, signal }), directory, end.code);
    }
    if (end.code !== 0) {
      return this.failed(step, failure("step.failed", { step: step.name, exitCode: end.code }), directory, end.code);
    }
    const outputs: Record<string, string> = {};
    for (const output of step.outputs) {
      const file = join(directory, files.results, output);
      if (!existsSync(file))
        return this.failed(step, failure("step.output-missing", { step: step.name, output }), directory, 0);
      const { size } = statSync(file);
      if (size > outputLimitBytes) {
        const error = failure("step.output-too-large", { step: step.name, output, size, limit: outputLimitBytes });
        return this.failed(step, error, directory, 0);
      }
      outputs[output] = readFileSync(file, "utf8").replace(/\r?\n$/, "");
    }
    return { type: "succeeded", step: step.name, attempt, at: this.at(), outputs };
  }

  private failed(step: StepSpec, error: Partial<FuseError> & Error, directory: string, exitCode?: number): StepEvent {
    const logTail = tailOf(join(directory, files.log));
    const told: RunError = {
      code: error.code ?? "internal",
      message: error.message,
      ...(error.hint ? { hint: error.hint } : {}),
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(logTail ? { logTail } : {}),
    };
    return { type: "failed", step: step.name, attempt, at: this.at(), error: told };
  }
}

type Prepared = { readonly command: readonly string[]; readonly cwd: string; readonly env: Record<string, string> };

/** The files by which upstream's images know where their code comes from; git does not see them. */
function markOrigin(directory: string, address: { project: string; name: string }): void {
  mkdirSync(join(directory, ".fuseml"), { recursive: true });
  writeFileSync(join(directory, ".fuseml", "_project"), address.name);
  writeFileSync(join(directory, ".fuseml", "_org"), address.project);
  const exclude = join(directory, ".git", "info", "exclude");
  if (existsSync(join(directory, ".git", "info"))) writeFileSync(exclude, ".fuseml/\n", { flag: "a" });
}

const signalNames: Readonly<Record<number, string>> = {
  1: "SIGHUP",
  2: "SIGINT",
  6: "SIGABRT",
  9: "SIGKILL",
  11: "SIGSEGV",
  13: "SIGPIPE",
  15: "SIGTERM",
};
const signalName = (number: number): string => signalNames[number] ?? `signal ${number}`;
