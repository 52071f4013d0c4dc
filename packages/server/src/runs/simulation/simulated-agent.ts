import type { Acceptance } from "@fuseml/core/run/choose-agent";
import type { Segment } from "@fuseml/core/run/plan";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { StepEvent } from "@fuseml/core/run/state";
import type { LogChunk, SegmentContext, WorkloadAgent } from "../workload-agent.ts";
import type { Random } from "./random.ts";

type Execution = { readonly spec: StepSpec; state: "waiting" | "running" | "succeeded" | "failed" | "cancelled" };
type Held = { readonly segment: Segment; readonly steps: Execution[]; drained: boolean; readonly events: StepEvent[] };

/** A try of a step as it really happened. */
export type Happened = {
  readonly runId: string;
  readonly step: string;
  readonly attempt: number;
  readonly segment: string;
  readonly what: "started" | "succeeded" | "failed" | "cancelled";
};

/** Where segments really run: it outlives the engines, and tells them of what happens late, twice, and mixed. */
export class SimulatedWorld {
  readonly happened: Happened[] = [];
  readonly held = new Map<string, Held>();
  private readonly random: Random;
  private readonly clock: () => number;

  constructor(random: Random, clock: () => number) {
    this.random = random;
    this.clock = clock;
  }

  private note(held: Held, { spec }: Execution, what: Happened["what"]): void {
    const { runId, id } = held.segment;
    this.happened.push({ runId, step: spec.name, attempt: spec.attempt, segment: id, what });
  }

  submit(segment: Segment, context: SegmentContext): void {
    if (this.held.has(segment.id)) return;
    const steps = segment.steps
      .filter((spec) => !context.finished.has(spec.name))
      .map((spec): Execution => ({ spec, state: "waiting" }));
    this.held.set(segment.id, { segment, steps, drained: false, events: [] });
  }

  private ready(held: Held): Execution[] {
    if (held.drained) return [];
    const open = new Set(held.steps.filter((of) => of.state !== "succeeded").map((of) => of.spec.step));
    return held.steps.filter((of) => of.state === "waiting" && of.spec.needs.every((need) => !open.has(need)));
  }

  isOver(id: string): boolean {
    const held = this.held.get(id);
    return !held || (!held.steps.some((of) => of.state === "running") && this.ready(held).length === 0);
  }

  /** One thing happens to one step. @returns whether anything could */
  progress(failures: number): boolean {
    const choices = [...this.held.values()].flatMap((held) =>
      [...this.ready(held), ...held.steps.filter((of) => of.state === "running")].map((of) => ({ held, of })),
    );
    const chosen = this.random.pick(choices);
    if (!chosen) return false;
    const { held, of } = chosen;
    const at = new Date(this.clock()).toISOString();
    const told = { step: of.spec.name, attempt: of.spec.attempt, at };
    if (of.state === "waiting") {
      of.state = "running";
      this.note(held, of, "started");
      held.events.push({ type: "started", ...told });
    } else if (this.random.chance(failures)) {
      of.state = "failed";
      this.note(held, of, "failed");
      held.events.push({ type: "failed", ...told, error: { code: "step.failed", message: "it failed" } });
    } else {
      of.state = "succeeded";
      this.note(held, of, "succeeded");
      const outputs = Object.fromEntries(of.spec.outputs.map((name) => [name, `${of.spec.name}-${name}`]));
      held.events.push({ type: "succeeded", ...told, outputs });
    }
    return true;
  }

  cancel(id: string, step?: string): void {
    const held = this.held.get(id);
    if (!held) return;
    if (step === undefined) held.drained = true;
    for (const of of held.steps) {
      if ((step !== undefined && of.spec.name !== step) || (of.state !== "running" && of.state !== "waiting")) continue;
      if (of.state === "running") this.note(held, of, "cancelled");
      of.state = "cancelled";
    }
  }

  drain(id: string): string[] {
    const held = this.held.get(id);
    if (!held) return [];
    held.drained = true;
    return held.steps.filter((of) => of.state !== "waiting").map((of) => of.spec.name);
  }
}

/** The agent as one engine has it: dead when the engine is. */
export class SimulatedAgent implements WorkloadAgent {
  readonly name: string;
  readonly zone: string;
  private readonly world: SimulatedWorld;
  private readonly random: Random;
  private readonly waiting = new Map<string, () => void>();
  private readonly abandoned = new Set<string>();

  constructor(name: string, world: SimulatedWorld, random: Random) {
    this.name = name;
    this.zone = name;
    this.world = world;
    this.random = random;
  }

  accepts(step: StepSpec): Acceptance {
    return step.zone === undefined || step.zone === this.zone
      ? { accepted: true }
      : { accepted: false, reason: new Error(`zone ${step.zone} is not ${this.zone}`) };
  }

  async imageDigest(image: string): Promise<string> {
    return image;
  }

  async submit(segment: Segment, context: SegmentContext): Promise<void> {
    this.abandoned.delete(segment.id);
    this.world.submit(segment, context);
  }

  /** Lets those who observe hear of something. */
  stir(): void {
    const chosen = this.random.pick([...this.waiting.keys()]);
    if (chosen !== undefined) this.wake(chosen);
  }

  stirAll(): void {
    for (const id of [...this.waiting.keys()]) this.wake(id);
  }

  private wake(id: string): void {
    const wake = this.waiting.get(id);
    this.waiting.delete(id);
    wake?.();
  }

  async *observe(segmentId: string): AsyncIterable<readonly StepEvent[]> {
    const { random, world } = this;
    for (let told = 0; ; ) {
      if (this.abandoned.has(segmentId)) return;
      const events = world.held.get(segmentId)?.events ?? [];
      if (told < events.length) {
        // some of what is new, and now and then something old once more
        const until = told + 1 + random.below(events.length - told);
        const batch = events.slice(random.chance(0.2) ? random.below(told + 1) : told, until);
        told = until;
        yield batch;
      } else if (world.isOver(segmentId)) return;
      else await new Promise<void>((resolve) => this.waiting.set(segmentId, resolve));
    }
  }

  async cancel(segmentId: string, step?: string): Promise<void> {
    this.world.cancel(segmentId, step);
    this.wake(segmentId);
  }

  async drain(segmentId: string): Promise<readonly string[]> {
    const begun = this.world.drain(segmentId);
    this.wake(segmentId);
    return begun;
  }

  abandon(segmentId: string): void {
    this.abandoned.add(segmentId);
    this.wake(segmentId);
  }

  async *logs(): AsyncIterable<LogChunk> {
    yield* [];
  }

  forget(): Promise<void> {
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}
