import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Segment } from "@fuseml/core/run/plan";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { Outputs, StepEvent } from "@fuseml/core/run/state";
import { writeAtomically } from "../../platform/files/atomic.ts";
import type { SegmentContext } from "../../runs/workload-agent.ts";
import type { SegmentAgentParts } from "./parts.ts";
import { files } from "./step-directory.ts";
import { type Halt, StepRun } from "./step-run.ts";

/**
 * Runs the steps of one segment: each as soon as those it needs have succeeded, as many side by side as there are places.
 * One that fails holds up only those that need it.
 */
export class SegmentDriver {
  readonly finished: Promise<void>;
  private readonly segment: Segment;
  private readonly context: SegmentContext;
  private readonly directory: string;
  private readonly parts: SegmentAgentParts;
  private readonly emit: (event: StepEvent) => void;
  private readonly outputs: Map<string, Outputs>;
  private readonly runs = new Map<string, StepRun>();
  /** Step runs that have not succeeded, by step of the definition. */
  private readonly pending = new Map<string, number>();
  /** Step runs whose turn has not come. */
  private readonly waiting: Set<StepSpec>;
  private readonly underWay = new Set<Promise<void>>();
  private stopped: Halt | undefined;
  private drained: boolean;

  constructor(
    segment: Segment,
    context: SegmentContext,
    directory: string,
    parts: SegmentAgentParts,
    emit: (event: StepEvent) => void,
  ) {
    this.segment = segment;
    this.context = context;
    this.directory = directory;
    this.parts = parts;
    this.emit = emit;
    this.outputs = new Map(context.finished);
    this.drained = existsSync(join(directory, files.drained));
    if (existsSync(join(directory, files.cancelled))) this.stopped = "cancel";
    this.waiting = new Set(segment.steps.filter((step) => !this.outputs.has(step.name)));
    for (const { step } of this.waiting) this.pending.set(step, (this.pending.get(step) ?? 0) + 1);
    this.finished = this.drive();
  }

  /** Ends the steps under way and their children. */
  async halt(how: Halt): Promise<void> {
    this.stopped ??= how;
    if (how === "cancel") writeAtomically(join(this.directory, files.cancelled), "");
    await Promise.all([...this.runs.values()].map((run) => run.halt(how)));
    await this.finished;
  }

  /** Ends one step, and no other. */
  async haltStep(name: string): Promise<void> {
    writeAtomically(join(this.directory, name, files.cancelled), "");
    await this.runs.get(name)?.halt("cancel");
  }

  /** @returns the steps that have been begun; no other will be */
  drain(): readonly string[] {
    if (!this.drained) writeAtomically(join(this.directory, files.drained), "");
    this.drained = true;
    return [...this.runs].filter(([, run]) => run.begun).map(([name]) => name);
  }

  /** Starts nothing more, and leaves what is under way to another one. */
  abandon(): void {
    this.drained = true;
    for (const run of this.runs.values()) run.abandon();
  }

  private async drive(): Promise<void> {
    // what was begun before a crash goes on first, whatever is to become of the rest
    this.startReady();
    while (this.underWay.size > 0) {
      await Promise.race(this.underWay);
    }
  }

  private startReady(): void {
    if (this.stopped) return;
    for (const step of [...this.waiting]) {
      if (step.needs.some((need) => (this.pending.get(need) ?? 0) > 0)) continue;
      this.waiting.delete(step);
      const work: Promise<void> = this.runStep(step).finally(() => this.underWay.delete(work));
      this.underWay.add(work);
    }
  }

  private async runStep(step: StepSpec): Promise<void> {
    const run = new StepRun(step, this.segment.runId, join(this.directory, step.name), this.context, this.parts);
    this.runs.set(step.name, run);
    const outcome = await run.run(this.outputs, this.emit, () => !this.drained && !this.stopped);
    if (!outcome) return;
    run.begun = true;
    this.emit(outcome);
    if (outcome.type !== "succeeded") return;
    this.outputs.set(step.name, outcome.outputs);
    const left = (this.pending.get(step.step) ?? 1) - 1;
    this.pending.set(step.step, left);
    if (left === 0) this.startReady();
  }
}
