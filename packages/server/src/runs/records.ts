import type { ResolvedChoice } from "@fuseml/core/extension/resolve";
import type { StepRow } from "@fuseml/core/run/picture";
import type { Segment } from "@fuseml/core/run/plan";
import type { PinnedInputs } from "@fuseml/core/run/spec";
import type { Outputs, RunError, RunStatus } from "@fuseml/core/run/state";
import type { WorkflowDefinition } from "@fuseml/core/workflow/definition";

/** Why there is a run. */
export type RunCause =
  | { readonly type: "manual"; readonly by: string }
  | { readonly type: "assigned"; readonly assignment: string }
  | { readonly type: "published"; readonly assignment: string; readonly artifact: string }
  | { readonly type: "scheduled"; readonly assignment: string; readonly moment: string }
  | { readonly type: "forked"; readonly run: string; readonly from: string; readonly by: string };

export type StoredRun = {
  readonly id: string;
  readonly workflow: string;
  readonly workflowVersion: number;
  readonly project: string;
  readonly assignmentId: string | null;
  /** Unique: the same assignment with the same pins starts one automatic run. */
  readonly matchKey: string | null;
  readonly cause: RunCause;
  readonly pins: PinnedInputs;
  readonly status: RunStatus;
  readonly error: RunError | null;
  readonly outputs: Outputs;
  readonly created: string;
  readonly started: string | null;
  readonly ended: string | null;
  /** The replica that drives it; nobody before the first, and after one that stopped. */
  readonly owner: string | null;
  readonly deadline: string | null;
  readonly stepwise: boolean;
  /** In place of the workflow version's, when it was edited for this run. */
  readonly definition: WorkflowDefinition | null;
  /** Runs with the same key wait for each other (`queued`), or end each other. */
  readonly queueKey: string | null;
  readonly queued: boolean;
  /** Who asked for its end, before the engine has seen to it. */
  readonly cancelRequested: string | null;
  /** Earlier results are not taken. */
  readonly noCache: boolean;
};

export type StoredStep = StepRow & {
  readonly runId: string;
  readonly ordinal: number;
  /** Which records it got, by its own name for each. */
  readonly extensions: Readonly<Record<string, ResolvedChoice>>;
  /** The segment that holds it, or held it last. A waiting step run without one can be planned. */
  readonly segmentId: string | null;
};

export type StoredSegment = { readonly segment: Segment; readonly ordinal: number; readonly ended: boolean };

/** A try that failed and was followed by another one. */
export type StoredAttempt = {
  readonly runId: string;
  readonly name: string;
  readonly attempt: number;
  readonly segmentId: string;
  readonly started: string;
  readonly ended: string;
  readonly error: RunError;
};

export type RunFilter = {
  readonly workflow?: string | undefined;
  readonly project?: string | undefined;
  readonly codesetProject?: string | undefined;
  readonly codesetName?: string | undefined;
  readonly status?: RunStatus | undefined;
  /** Runs before this id: a cursor. */
  readonly before?: string | undefined;
  /** Runs from this id on: ids sort by time. */
  readonly from?: string | undefined;
  readonly limit: number;
};
