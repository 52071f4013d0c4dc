import type { ResolvedChoice } from "@fuseml/core/extension/resolve";
import type { Segment } from "@fuseml/core/run/plan";
import type { PinnedInputs } from "@fuseml/core/run/spec";
import type { Outputs, RunError, RunStatus, StepCounts, StepState } from "@fuseml/core/run/state";
import type { Selectable } from "kysely";
import { fromJson, toFlag, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";
import type { Schema } from "../state/schema.ts";

/** Why there is a run. */
export type RunCause =
  | { readonly type: "manual"; readonly by: string }
  | { readonly type: "assigned"; readonly assignment: string }
  | { readonly type: "published"; readonly assignment: string; readonly artifact: string };

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
};

export type StoredStep = {
  readonly runId: string;
  readonly ordinal: number;
  readonly name: string;
  readonly state: StepState;
  /** Which records it got, by its own name for each. */
  readonly extensions: Readonly<Record<string, ResolvedChoice>>;
};

export type StoredSegment = { readonly segment: Segment; readonly ordinal: number; readonly ended: boolean };

export type RunFilter = {
  readonly workflow?: string | undefined;
  readonly codesetProject?: string | undefined;
  readonly codesetName?: string | undefined;
  readonly status?: RunStatus | undefined;
  /** Runs before this id: a cursor. */
  readonly before?: string | undefined;
  readonly limit: number;
};

export interface RunRepository {
  /** @returns false, and writes nothing, when there is a run with this match key */
  add(run: StoredRun, steps: readonly StoredStep[]): Promise<boolean>;
  get(id: string): Promise<StoredRun | undefined>;
  /** The run whose id starts so, when there is exactly one: people type the beginning. */
  findByPrefix(prefix: string): Promise<StoredRun | undefined>;
  /** Newest first. */
  list(filter: RunFilter): Promise<StoredRun[]>;
  active(): Promise<StoredRun[]>;
  update(run: Pick<StoredRun, "id" | "status" | "error" | "outputs" | "started" | "ended">): Promise<void>;
  steps(runId: string): Promise<StoredStep[]>;
  step(runId: string, name: string): Promise<StoredStep | undefined>;
  /** Without reading the steps: a run may have very many. */
  countSteps(runId: string): Promise<StepCounts>;
  updateStep(step: Omit<StoredStep, "ordinal">): Promise<void>;
  /** @returns false when it is there already */
  addSegment(segment: Segment, ordinal: number): Promise<boolean>;
  segments(runId: string): Promise<StoredSegment[]>;
  endSegments(runId: string): Promise<void>;
}

const fromRow = (row: Selectable<Schema["run"]>): StoredRun => ({
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
});

const stepFromRow = (row: Selectable<Schema["step_run"]>): StoredStep => ({
  runId: row.run_id,
  ordinal: row.ordinal,
  name: row.name,
  state: fromJson<StepState>(row.state),
  extensions: fromJson<StoredStep["extensions"]>(row.extensions),
});

export const runRepository = (db: Db): RunRepository => ({
  async add(run, steps) {
    const result = await db
      .insertInto("run")
      .values({
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
      })
      .onConflict((conflict) => conflict.column("match_key").doNothing())
      .executeTakeFirst();
    if ((result.numInsertedOrUpdatedRows ?? 0n) === 0n) return false;
    for (const step of steps) {
      await db
        .insertInto("step_run")
        .values({
          run_id: step.runId,
          ordinal: step.ordinal,
          name: step.name,
          state: toJson(step.state),
          status: step.state.status,
          extensions: toJson(step.extensions),
        })
        .execute();
    }
    return true;
  },
  async get(id) {
    const row = await db.selectFrom("run").selectAll().where("id", "=", id).executeTakeFirst();
    return row && fromRow(row);
  },
  async findByPrefix(prefix) {
    const rows = await db
      .selectFrom("run")
      .selectAll()
      .where("id", ">=", prefix)
      .where("id", "<", `${prefix}\u{7f}`)
      .limit(2)
      .execute();
    const [only, another] = rows;
    return only && !another ? fromRow(only) : undefined;
  },
  async list({ workflow, codesetProject, codesetName, status, before, limit }) {
    let query = db.selectFrom("run").selectAll();
    if (workflow !== undefined) query = query.where("workflow", "=", workflow);
    if (status !== undefined) query = query.where("status", "=", status);
    if (before !== undefined) query = query.where("id", "<", before);
    if (codesetProject !== undefined) query = query.where("pins", "like", `%"project":${toJson(codesetProject)},%`);
    if (codesetName !== undefined) query = query.where("pins", "like", `%"name":${toJson(codesetName)},%`);
    return (await query.orderBy("id", "desc").limit(limit).execute()).map(fromRow);
  },
  async active() {
    const rows = await db
      .selectFrom("run")
      .selectAll()
      .where("status", "in", ["pending", "running"])
      .orderBy("id")
      .execute();
    return rows.map(fromRow);
  },
  async update({ id, status, error, outputs, started, ended }) {
    await db
      .updateTable("run")
      .set({ status, error: error === null ? null : toJson(error), outputs: toJson(outputs), started, ended })
      .where("id", "=", id)
      .execute();
  },
  async step(runId, name) {
    const row = await db
      .selectFrom("step_run")
      .selectAll()
      .where("run_id", "=", runId)
      .where("name", "=", name)
      .executeTakeFirst();
    return row && stepFromRow(row);
  },
  async countSteps(runId) {
    const rows = await db
      .selectFrom("step_run")
      .select((of) => ["status", of.fn.countAll<number>().as("count")])
      .where("run_id", "=", runId)
      .groupBy("status")
      .execute();
    return Object.fromEntries(rows.map((row) => [row.status, Number(row.count)]));
  },
  async steps(runId) {
    const rows = await db.selectFrom("step_run").selectAll().where("run_id", "=", runId).orderBy("ordinal").execute();
    return rows.map(stepFromRow);
  },
  async updateStep({ runId, name, state, extensions }) {
    await db
      .updateTable("step_run")
      .set({ state: toJson(state), status: state.status, extensions: toJson(extensions) })
      .where("run_id", "=", runId)
      .where("name", "=", name)
      .execute();
  },
  async addSegment(segment, ordinal) {
    const result = await db
      .insertInto("segment")
      .values({
        id: segment.id,
        run_id: segment.runId,
        ordinal,
        agent: segment.agent,
        spec: toJson(segment),
        ended: toFlag(false),
      })
      .onConflict((conflict) => conflict.column("id").doNothing())
      .executeTakeFirst();
    return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
  },
  async segments(runId) {
    const rows = await db.selectFrom("segment").selectAll().where("run_id", "=", runId).orderBy("ordinal").execute();
    return rows.map((row) => ({ segment: fromJson<Segment>(row.spec), ordinal: row.ordinal, ended: row.ended === 1 }));
  },
  async endSegments(runId) {
    await db
      .updateTable("segment")
      .set({ ended: toFlag(true) })
      .where("run_id", "=", runId)
      .execute();
  },
});
