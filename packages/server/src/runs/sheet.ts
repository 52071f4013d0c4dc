import { type Combination, stepKey } from "@fuseml/core/run/matrix";
import { openCount, type Picture, type StepRow, type StepsOf, withExpansion, withRows } from "@fuseml/core/run/picture";
import { inFlightLimit } from "@fuseml/core/run/plan";
import { outputsOf } from "@fuseml/core/run/state";
import type { Repositories, Unit } from "../state/store.ts";
import type { RunPlan } from "./definitions.ts";
import type { StoredRun, StoredStep } from "./records.ts";

/** Ordinals of step runs leave room for the matrix of the step before. */
const ordinalStride = 100_000;

/** The place of a step run among all of its run. */
export const ordinalOf = (stepIndex: number, index: number | null): number =>
  (stepIndex + 1) * ordinalStride + (index ?? 0);

/** A step run as it is stored at first. */
export const newStep = (runId: string, stepIndex: number, row: StepRow): StoredStep => ({
  ...row,
  runId,
  ordinal: ordinalOf(stepIndex, row.index),
  extensions: {},
  segmentId: null,
});

/** Read from the database what planning needs, and keeps what planning changes until it is written in one transaction. */
export class Sheet {
  picture: Picture;
  private readonly runId: string;
  private readonly order: ReadonlyMap<string, number>;
  private readonly rows: Map<string, StoredStep>;
  private readonly changed = new Map<string, StoredStep>();
  private readonly replaced = new Map<string, readonly StoredStep[]>();

  private constructor(runId: string, plan: RunPlan, picture: Picture, rows: readonly StoredStep[]) {
    this.runId = runId;
    this.picture = picture;
    this.order = new Map([...plan.graph.keys()].map((name, index) => [name, index]));
    this.rows = new Map(rows.map((row) => [row.name, row]));
  }

  static async load({ runs }: Pick<Repositories, "runs">, run: StoredRun, plan: RunPlan, now: string): Promise<Sheet> {
    const counts = await runs.countSteps(run.id);
    const limit = inFlightLimit + 1;
    const free = await runs.freeSteps(run.id, limit);
    const byStep = new Map<string, StoredStep[]>();
    for (const row of free) byStep.set(row.step, [...(byStep.get(row.step) ?? []), row]);
    const steps = new Map<string, StepsOf>();
    for (const [step, of] of counts) steps.set(step, { counts: of, free: byStep.get(step) ?? [] });
    const open = [...steps.values()].reduce((total, of) => total + openCount(of), 0);
    const freeCount = free.length < limit ? free.length : await runs.countFree(run.id);
    const referred = new Set(
      [...plan.graph.values()]
        .filter(({ name }) => byStep.has(name))
        .flatMap(({ uses, plannedOn }) => [...uses.map(({ step }) => step), ...plannedOn]),
    );
    const ended = await runs.endedStates(
      run.id,
      [...referred].filter((step) => steps.has(step)),
    );
    const picture: Picture = {
      runId: run.id,
      graph: plan.graph,
      pins: run.pins,
      steps,
      outputs: new Map(ended.map(({ name, state }) => [name, outputsOf(state) ?? {}])),
      segments: await runs.countSegments(run.id),
      inFlight: open - freeCount,
      stepwise: run.stepwise,
      now,
    };
    return new Sheet(run.id, plan, picture, free);
  }

  /** Step runs that no segment holds and that have not ended. */
  get freeCount(): number {
    const open = [...this.picture.steps.values()].reduce((total, of) => total + openCount(of), 0);
    return open - this.picture.inFlight;
  }

  /** Whether a step waits for a person or a moment. */
  hasGates(): boolean {
    return [...this.rows.values()].some(({ state }) => state.status === "waiting" && state.gate !== undefined);
  }

  stored(name: string): StoredStep {
    const row = this.rows.get(name);
    if (!row) throw new Error(`step run ${name} is not on the sheet`);
    return row;
  }

  change(row: StoredStep): void {
    this.rows.set(row.name, row);
    this.changed.set(row.name, row);
    this.picture = withRows(this.picture, [row]);
  }

  /** Puts the step runs of a matrix in the place of its placeholder. */
  expand(step: string, combinations: readonly Combination[]): void {
    const index = this.order.get(step) ?? 0;
    const { name: _name, ...template } = this.stored(step);
    const rows = combinations.map((combination, at) => ({
      ...template,
      name: stepKey(step, at),
      ordinal: ordinalOf(index, at),
      index: at,
      combination,
    }));
    this.rows.delete(step);
    for (const row of rows) this.rows.set(row.name, row);
    this.replaced.set(step, rows);
    this.picture = withExpansion(this.picture, step, rows);
  }

  get isChanged(): boolean {
    return this.changed.size > 0 || this.replaced.size > 0;
  }

  async save({ runs }: Pick<Unit, "runs">): Promise<void> {
    for (const [step, rows] of this.replaced) {
      await runs.removeSteps(this.runId, step);
      await runs.addSteps(rows.map((row) => this.changed.get(row.name) ?? row));
    }
    for (const row of this.changed.values()) if (!this.replaced.has(row.step)) await runs.updateStep(row);
  }
}
