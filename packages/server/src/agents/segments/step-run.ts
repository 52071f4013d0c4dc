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
import type { SegmentAgentParts } from "./parts.ts";
import { begunAt, files, readOutcome } from "./step-directory.ts";
import type { RunningStep } from "./step-engine.ts";
import { LogPump } from "./step-log.ts";
import { type Ended, failed, judge } from "./step-outcome.ts";

export type Halt = "cancel" | "shutdown";

/** One step run of a segment. Everything that must be known of it after a crash is in its directory. */
export class StepRun {
  private readonly step: StepSpec;
  private readonly runId: string;
  private readonly directory: string;
  private readonly context: SegmentContext;
  private readonly parts: SegmentAgentParts;
  private running: RunningStep | undefined;
  private stopped: Halt | undefined;
  private endedByUs: Ended | undefined;
  private abandoned = false;
  begun = false;

  constructor(step: StepSpec, runId: string, directory: string, context: SegmentContext, parts: SegmentAgentParts) {
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
    const { engine, slots } = this.parts;
    const adopted = engine.adopt(directory);
    const request = { run: this.runId, project: this.context.project, limits: this.context.limits ?? {} };
    const release = adopted ? slots.take(request) : await slots.acquire(request);
    let pump: LogPump | undefined;
    try {
      this.running = adopted;
      this.begun = adopted !== undefined;
      if (!adopted && !this.goesOn(mayBegin)) return undefined;
      pump = this.pumpLog(mask);
      this.running ??= await this.start(outputs, mayBegin);
      if (!this.running) return this.interrupted();
      const { image } = this.running;
      const { name, attempt } = this.step;
      emit({ type: "started", step: name, attempt, at: this.at(), ...(image === undefined ? {} : { image }) });
      const end = await this.watched(this.running);
      pump.finish();
      pump = undefined;
      if (this.stopped) return this.interrupted();
      return this.record(await judge(this.step, this.running, end, directory, this.at(), this.endedByUs));
    } catch (error) {
      pump?.finish();
      pump = undefined;
      if (this.stopped) return this.interrupted();
      return this.record(failed(this.step, this.explain(error, mask), directory, this.at()));
    } finally {
      pump?.finish();
      await this.clear();
      release();
    }
  }

  private start(known: KnownOutputs, mayBegin: () => boolean): Promise<RunningStep | undefined> {
    const { step, runId, directory, context } = this;
    return this.parts.engine.start({ step, runId, directory, known, context }, () => {
      this.begun = this.goesOn(mayBegin);
      return this.begun;
    });
  }

  private pumpLog(mask: (text: string) => string): LogPump {
    const { log, logLimitBytes } = this.parts;
    const pump = new LogPump(join(this.directory, files.raw), join(this.directory, files.log), mask);
    pump.start(
      (error) => log.warn({ err: error, step: this.step.name }, "a step's log could not be written"),
      logLimitBytes,
      () => this.endIt({ logLimitBytes }),
    );
    return pump;
  }

  /** What is left of a command goes, unless another server watches it now. */
  private async clear(): Promise<void> {
    const left = this.running;
    this.running = undefined;
    if (this.abandoned) return;
    rmSync(join(this.directory, files.work), { recursive: true, force: true });
    try {
      await left?.dispose();
    } catch (error) {
      this.parts.log.warn({ err: error, step: this.step.name }, "what is left of a step could not be removed");
    }
  }

  private endIt(why: Ended): void {
    if (this.endedByUs || this.stopped) return;
    this.endedByUs = why;
    this.running
      ?.stop(this.parts.graceMs)
      .catch((error: unknown) => this.parts.log.error({ err: error }, "a step could not be ended"));
  }

  private goesOn(mayBegin: () => boolean): boolean {
    return this.stopped === undefined && mayBegin();
  }

  /** Waits for the end of the command, and ends it when it takes too long. */
  private async watched(running: RunningStep) {
    const timer = this.untilTimeout((timeoutMs) => this.endIt({ timeoutMs }));
    try {
      if (this.stopped) await running.stop(this.parts.graceMs);
      return await running.ended();
    } finally {
      clearTimeout(timer);
    }
  }

  private untilTimeout(expired: (timeoutMs: number) => void): NodeJS.Timeout | undefined {
    const { timeoutMs } = this.step;
    if (timeoutMs === undefined) return undefined;
    const since = begunAt(this.directory) ?? this.parts.clock();
    const left = Math.max(0, Math.min(since + timeoutMs - this.parts.clock(), timeoutMs));
    return setTimeout(() => expired(timeoutMs), left).unref();
  }

  /** Ends the command and its children. With `shutdown` its traces go, too: it will run afresh. */
  async halt(how: Halt): Promise<void> {
    this.stopped ??= how;
    await this.running?.stop(how === "cancel" ? this.parts.graceMs : Math.min(1000, this.parts.graceMs));
  }

  /** Another server watches the command from now on. */
  abandon(): void {
    this.abandoned = true;
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
