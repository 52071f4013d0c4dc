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

/** What a waiting step waits for, beside the steps before it. Instants are ISO 8601 in UTC. */
export type Gate =
  | {
      readonly type: "approval";
      readonly since: string;
      readonly until?: string;
      readonly by: readonly string[];
      readonly message?: string;
    }
  | { readonly type: "window"; readonly opens: string }
  | { readonly type: "retry"; readonly opens: string; readonly attempt: number; readonly error: RunError }
  /** The run goes step by step: a person says when it goes on. */
  | { readonly type: "pause"; readonly since: string };

/** Why a step was skipped. */
export type SkipReason =
  | { readonly type: "condition"; readonly condition: string }
  /** It uses an output of a step that was skipped. */
  | { readonly type: "input"; readonly step: string }
  | { readonly type: "person"; readonly by: string }
  /** The run ended before its turn came. */
  | { readonly type: "run-ended" };

/** The state of a step run. */
export type StepState =
  | { readonly status: "waiting"; readonly gate?: Gate }
  | { readonly status: "running"; readonly attempt: number; readonly since: string; readonly image?: string }
  | {
      readonly status: "succeeded";
      readonly attempt: number;
      readonly since: string;
      readonly ended: string;
      readonly outputs: Outputs;
      /** The image that ran, by digest, where there was one. */
      readonly image?: string;
      /** It was not run: this run made the outputs earlier. */
      readonly reused?: { readonly run: string; readonly step: string };
    }
  | {
      readonly status: "failed";
      readonly attempt: number;
      readonly since: string;
      readonly ended: string;
      readonly error: RunError;
      readonly image?: string;
    }
  | { readonly status: "cancelled"; readonly ended: string }
  | { readonly status: "skipped"; readonly ended: string; readonly reason?: SkipReason; readonly outputs?: Outputs };

export type StepStatus = StepState["status"];

/** What an agent reports of a step. Delivered at least once, possibly late. `attempt` counts from 1. */
export type StepEvent =
  | {
      readonly type: "started";
      readonly step: string;
      readonly attempt: number;
      readonly at: string;
      /** The image that runs, by digest, where there is one. */
      readonly image?: string;
    }
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

/** Whether what comes after the step may go on. */
export const isDone = (state: StepState): boolean =>
  state.status === "succeeded" || (state.status === "skipped" && state.reason?.type !== "run-ended");

/** What a step gave: a skipped step may have been given outputs by hand. */
export const outputsOf = (state: StepState): Outputs | undefined =>
  state.status === "succeeded" || state.status === "skipped" ? state.outputs : undefined;

/** A transition, or why the event changes nothing: late, duplicate and out-of-order events are answers, not exceptions. */
export type Transition = { readonly state: StepState; readonly changed: boolean; readonly ignored?: string };

/** What decides about a failed try. */
export type TryPolicy = {
  /** Tries that were over before this state: their events come too late. */
  readonly tried: number;
  /** The moment of the next try after this one failed, or nothing when it was the last. */
  readonly retryAt: (attempt: number, failedAt: string) => string | undefined;
};

const noRetries: TryPolicy = { tried: 0, retryAt: () => undefined };

/** The one function by which a step run changes on an agent's word. */
export function onStepEvent(state: StepState, event: StepEvent, policy: TryPolicy = noRetries): Transition {
  const ignore = (ignored: string): Transition => ({ state, changed: false, ignored });
  const become = (next: StepState): Transition => ({ state: next, changed: true });
  if (isEnded(state)) return ignore(`the step has already ${state.status === "succeeded" ? "succeeded" : "ended"}`);
  if (state.status === "running" && event.attempt < state.attempt) return ignore(`attempt ${event.attempt} is over`);
  if (state.status === "waiting" && event.attempt <= policy.tried) return ignore(`attempt ${event.attempt} is over`);
  const present = state.status === "running" && state.attempt === event.attempt ? state : undefined;
  const { attempt, at } = event;
  const since = present?.since ?? at;
  const image = present?.image === undefined ? {} : { image: present.image };
  switch (event.type) {
    case "started":
      if (present) return ignore("known already");
      return become({
        status: "running",
        attempt,
        since: at,
        ...(event.image === undefined ? {} : { image: event.image }),
      });
    case "succeeded":
      return become({ status: "succeeded", attempt, since, ended: at, outputs: event.outputs, ...image });
    case "failed": {
      const { error } = event;
      const opens = policy.retryAt(attempt, at);
      if (opens !== undefined) return become({ status: "waiting", gate: { type: "retry", opens, attempt, error } });
      return become({ status: "failed", attempt, since, ended: at, error, ...image });
    }
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

/** The status with which a run ends when none of its steps can go on. */
export function finalStatus(counts: StepCounts): "succeeded" | "failed" | "cancelled" {
  const of = (status: StepStatus): number => counts[status] ?? 0;
  if (of("failed") > 0) return "failed";
  if (of("cancelled") > 0) return "cancelled";
  return of("waiting") + of("running") > 0 ? "failed" : "succeeded";
}

/** The steps counted by status. */
export function countSteps(states: readonly StepState[]): StepCounts {
  const counts: Partial<Record<StepStatus, number>> = {};
  for (const { status } of states) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
