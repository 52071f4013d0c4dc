/** Why a step or a run did not succeed. */
export type RunError = {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly exitCode?: number;
  /** The last lines of the step's log, secrets masked. */
  readonly logTail?: string;
};

export type Outputs = Readonly<Record<string, string>>;

/** The state of a step run. Instants are ISO 8601 in UTC. */
export type StepState =
  | { readonly status: "waiting" }
  | { readonly status: "running"; readonly attempt: number; readonly since: string }
  | {
      readonly status: "succeeded";
      readonly attempt: number;
      readonly since: string;
      readonly ended: string;
      readonly outputs: Outputs;
    }
  | {
      readonly status: "failed";
      readonly attempt: number;
      readonly since: string;
      readonly ended: string;
      readonly error: RunError;
    }
  | { readonly status: "cancelled"; readonly ended: string }
  /** It never ran, because an earlier step did not succeed. */
  | { readonly status: "skipped"; readonly ended: string };

export type StepStatus = StepState["status"];

/** What an agent reports of a step. Delivered at least once, possibly late. `attempt` counts from 1. */
export type StepEvent =
  | { readonly type: "started"; readonly step: string; readonly attempt: number; readonly at: string }
  | {
      readonly type: "succeeded";
      readonly step: string;
      readonly attempt: number;
      readonly at: string;
      readonly outputs: Outputs;
    }
  | {
      readonly type: "failed";
      readonly step: string;
      readonly attempt: number;
      readonly at: string;
      readonly error: RunError;
    };

export const isEnded = (state: StepState): boolean => state.status !== "waiting" && state.status !== "running";

/** A transition, or why the event changes nothing: late, duplicate and out-of-order events are answers, not exceptions. */
export type Transition = { readonly state: StepState; readonly changed: boolean; readonly ignored?: string };

/** The one function by which a step run changes on an agent's word. */
export function onStepEvent(state: StepState, event: StepEvent): Transition {
  const ignore = (ignored: string): Transition => ({ state, changed: false, ignored });
  const become = (next: StepState): Transition => ({ state: next, changed: true });
  if (isEnded(state)) return ignore(`the step has already ${state.status === "succeeded" ? "succeeded" : "ended"}`);
  if (state.status === "running" && event.attempt < state.attempt) return ignore(`attempt ${event.attempt} is over`);
  const since = state.status === "running" && state.attempt === event.attempt ? state.since : event.at;
  switch (event.type) {
    case "started":
      if (state.status === "running" && state.attempt === event.attempt) return ignore("known already");
      return become({ status: "running", attempt: event.attempt, since: event.at });
    case "succeeded":
      return become({ status: "succeeded", attempt: event.attempt, since, ended: event.at, outputs: event.outputs });
    case "failed":
      return become({ status: "failed", attempt: event.attempt, since, ended: event.at, error: event.error });
  }
}

/** A person or a policy stops the step. What has ended stays as it is. */
export const onCancel = (state: StepState, at: string): StepState =>
  isEnded(state) ? state : { status: "cancelled", ended: at };

export const runStatuses = ["pending", "running", "succeeded", "failed", "cancelled"] as const;
export type RunStatus = (typeof runStatuses)[number];

export const isRunEnded = (status: RunStatus): boolean => status !== "pending" && status !== "running";

/** How many steps of a run there are of each status. */
export type StepCounts = Readonly<Partial<Record<StepStatus, number>>>;

/** The status of a run from how its steps stand. */
export function runStatus(counts: StepCounts): RunStatus {
  const of = (status: StepStatus): number => counts[status] ?? 0;
  if (of("failed") > 0) return "failed";
  if (of("cancelled") > 0) return "cancelled";
  const open = of("waiting") + of("running") + of("skipped");
  if (open === 0) return "succeeded";
  return of("running") + of("succeeded") === 0 ? "pending" : "running";
}

/** The steps counted by status. */
export function countSteps(states: readonly StepState[]): StepCounts {
  const counts: Partial<Record<StepStatus, number>> = {};
  for (const { status } of states) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
