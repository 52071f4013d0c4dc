import type { KnownOutputs } from "./complete.ts";
import type { StepGraph } from "./graph.ts";
import type { Combination } from "./matrix.ts";
import type { PinnedInputs } from "./spec.ts";
import { outputsOf, type StepCounts, type StepState, type StepStatus } from "./state.ts";

/** What people let pass. */
export type Passes = {
  readonly approval?: { readonly by: string; readonly at: string; readonly comment?: string };
  /** In a run that goes step by step. */
  readonly pause?: boolean;
};

/** What was found when an earlier result was looked for. */
export type ReuseMark = {
  /** The digest of everything that the result depends on. */
  readonly key: string;
  /** The run whose result was taken. */
  readonly from?: { readonly run: string; readonly step: string };
  /** Why no earlier result was taken. */
  readonly because?: string;
  /** What the key was made of: kept with the result when the step succeeds. */
  readonly parts?: Readonly<Record<string, string>>;
};

/** A step run as the planner sees it. */
export type StepRow = {
  readonly name: string;
  readonly step: string;
  /** In a matrix, from 0. */
  readonly index: number | null;
  /** Of a matrix: nothing until its combinations are known. */
  readonly combination: Combination | null;
  readonly state: StepState;
  /** Tries that have begun. */
  readonly attempt: number;
  /** Tries that do not count against the limit, because a person had the step run again after them. */
  readonly base: number;
  readonly passes: Passes;
  readonly reuse: ReuseMark | null;
};

/** The step runs of one step. */
export type StepsOf = {
  readonly counts: StepCounts;
  /** Waiting step runs that no segment holds, in order. Of a very large matrix not all of them. */
  readonly free: readonly StepRow[];
};

/** Where a run stands: all that planning needs. Of a step with many step runs it holds counts, not rows. */
export type Picture = {
  readonly runId: string;
  readonly graph: StepGraph;
  readonly pins: PinnedInputs;
  readonly steps: ReadonlyMap<string, StepsOf>;
  readonly outputs: KnownOutputs;
  /** How many segments the run has had. */
  readonly segments: number;
  /** Step runs that living segments hold and that have not ended. */
  readonly inFlight: number;
  /** It goes step by step. */
  readonly stepwise: boolean;
  readonly now: string;
};

const countOf = (counts: StepCounts, ...of: StepStatus[]): number =>
  of.reduce((total, status) => total + (counts[status] ?? 0), 0);

/** Step runs that have not ended. */
export const openCount = ({ counts }: StepsOf): number => countOf(counts, "waiting", "running");
/** Whether a step run failed or was cancelled for good: nothing new is started then. */
export const hasFailed = ({ counts }: StepsOf): boolean => countOf(counts, "failed", "cancelled") > 0;
/** Whether what comes after the step may start. */
export const isOver = (steps: StepsOf): boolean => openCount(steps) === 0 && !hasFailed(steps);

/** The picture with these free step runs in another state. */
export function withRows(picture: Picture, changed: readonly StepRow[]): Picture {
  const steps = new Map(picture.steps);
  const outputs = new Map(picture.outputs);
  for (const row of changed) {
    const of = steps.get(row.step);
    if (!of) continue;
    const counts = { ...of.counts };
    const waits = row.state.status === "waiting";
    if (!waits) {
      counts.waiting = countOf(counts, "waiting") - 1;
      counts[row.state.status] = countOf(counts, row.state.status) + 1;
      outputs.set(row.name, outputsOf(row.state) ?? {});
    }
    const free = waits
      ? of.free.map((present) => (present.name === row.name ? row : present))
      : of.free.filter((present) => present.name !== row.name);
    steps.set(row.step, { counts, free });
  }
  return { ...picture, steps, outputs };
}

/** The picture with the placeholder of a matrix replaced by its step runs. */
export function withExpansion(picture: Picture, step: string, rows: readonly StepRow[]): Picture {
  const steps = new Map(picture.steps);
  steps.set(step, { counts: { waiting: rows.length }, free: rows });
  return { ...picture, steps };
}

/** The step runs of a step at first: one, or one for each combination of its matrix when these are known. */
export function initialRows(step: string, combinations: readonly Combination[] | null): readonly StepRow[] {
  const fresh = { step, state: { status: "waiting" }, attempt: 0, base: 0, passes: {}, reuse: null } as const;
  if (combinations === null) return [{ ...fresh, name: step, index: null, combination: null }];
  return combinations.map((combination, index) => ({ ...fresh, name: `${step}.${index}`, index, combination }));
}
