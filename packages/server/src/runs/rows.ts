import { readStoredSteps } from "@fuseml/core/run/spec";
import type { RunStatus, StepState } from "@fuseml/core/run/state";
import type { Insertable, Selectable } from "kysely";
import { fromJson, toFlag, toJson } from "../state/columns.ts";
import type { Schema } from "../state/schema.ts";
import type { StoredAttempt, StoredRun, StoredSegment, StoredStep } from "./records.ts";

/** Between records and the rows of the database. */
export const runFromRow = (row: Selectable<Schema["run"]>): StoredRun => ({
  id: row.id,
  workflow: row.workflow,
  workflowVersion: row.workflow_version,
  project: row.project,
  assignmentId: row.assignment_id,
  matchKey: row.match_key,
  cause: fromJson(row.cause),
  pins: fromJson(row.pins),
  status: row.status as RunStatus,
  error: row.error === null ? null : fromJson(row.error),
  outputs: fromJson(row.outputs),
  created: row.created,
  started: row.started,
  ended: row.ended,
  owner: row.owner,
  deadline: row.deadline,
  stepwise: row.stepwise === 1,
  definition: row.definition === null ? null : fromJson(row.definition),
  queueKey: row.queue_key,
  queued: row.queued === 1,
  cancelRequested: row.cancel_requested,
  noCache: row.no_cache === 1,
});

export const runToRow = (run: StoredRun): Insertable<Schema["run"]> => ({
  id: run.id,
  workflow: run.workflow,
  workflow_version: run.workflowVersion,
  project: run.project,
  assignment_id: run.assignmentId,
  match_key: run.matchKey,
  cause: toJson(run.cause),
  pins: toJson(run.pins),
  status: run.status,
  error: run.error === null ? null : toJson(run.error),
  outputs: toJson(run.outputs),
  created: run.created,
  started: run.started,
  ended: run.ended,
  owner: run.owner,
  deadline: run.deadline,
  stepwise: toFlag(run.stepwise),
  definition: run.definition === null ? null : toJson(run.definition),
  queue_key: run.queueKey,
  queued: toFlag(run.queued),
  cancel_requested: run.cancelRequested,
  no_cache: toFlag(run.noCache),
});

export const stepFromRow = (row: Selectable<Schema["step_run"]>): StoredStep => ({
  runId: row.run_id,
  ordinal: row.ordinal,
  name: row.name,
  step: row.step,
  index: row.idx,
  combination: row.combination === null ? null : fromJson(row.combination),
  state: fromJson<StepState>(row.state),
  attempt: row.attempt,
  base: row.base,
  passes: fromJson(row.passes),
  reuse: row.reuse === null ? null : fromJson(row.reuse),
  extensions: fromJson<StoredStep["extensions"]>(row.extensions),
  segmentId: row.segment_id,
});

/** What of a step run changes. */
export const stepChange = ({ state, attempt, base, passes, reuse, extensions, segmentId }: StoredStep) => ({
  state: toJson(state),
  status: state.status,
  attempt,
  base,
  passes: toJson(passes),
  reuse: reuse === null ? null : toJson(reuse),
  extensions: toJson(extensions),
  segment_id: segmentId,
});

export const stepToRow = (step: StoredStep): Insertable<Schema["step_run"]> => ({
  run_id: step.runId,
  ordinal: step.ordinal,
  name: step.name,
  step: step.step,
  idx: step.index,
  combination: step.combination === null ? null : toJson(step.combination),
  ...stepChange(step),
});

export function segmentFromRow(row: Selectable<Schema["segment"]>): StoredSegment {
  const segment = fromJson<StoredSegment["segment"]>(row.spec);
  return {
    segment: { ...segment, steps: readStoredSteps(segment.steps) },
    ordinal: row.ordinal,
    ended: row.ended === 1,
  };
}

export const attemptFromRow = (row: Selectable<Schema["attempt"]>): StoredAttempt => ({
  runId: row.run_id,
  name: row.name,
  attempt: row.attempt,
  segmentId: row.segment_id,
  started: row.started,
  ended: row.ended,
  error: fromJson(row.error),
});
