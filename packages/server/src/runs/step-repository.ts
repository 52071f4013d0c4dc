import type { Segment } from "@fuseml/core/run/plan";
import type { StepCounts, StepState, StepStatus } from "@fuseml/core/run/state";
import { toFlag, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";
import type { StoredAttempt, StoredSegment, StoredStep } from "./records.ts";
import { attemptFromRow, segmentFromRow, stepChange, stepFromRow, stepToRow } from "./rows.ts";

/** So many rows are written or named in one statement. */
const batchSize = 400;

/** The step runs of runs, and the segments that hold them. A run may have very many: few calls read all of them. */
export interface StepRepository {
  addSteps(steps: readonly StoredStep[]): Promise<void>;
  /** All, or a page of them, in order. */
  steps(runId: string, page?: { after: number; limit: number }): Promise<StoredStep[]>;
  step(runId: string, name: string): Promise<StoredStep | undefined>;
  /** Of one step of the definition, in order. */
  stepsOf(runId: string, step: string): Promise<StoredStep[]>;
  /** The first one with this status. */
  firstStep(runId: string, status: StepStatus): Promise<StoredStep | undefined>;
  /** How many there are, by step of the definition and status. */
  countSteps(runId: string): Promise<ReadonlyMap<string, StepCounts>>;
  /** Whether any is waiting or running; of one step of the definition, or of all. */
  hasOpenSteps(runId: string, step?: string): Promise<boolean>;
  /** Waiting step runs that no segment holds, in order. */
  freeSteps(runId: string, limit: number): Promise<StoredStep[]>;
  /** What these steps of the definition gave, as far as they are over. */
  endedStates(runId: string, steps: readonly string[]): Promise<{ name: string; state: StepState }[]>;
  /** States of all runs, as they are stored, in which a text occurs. */
  statesMentioning(text: string): Promise<string[]>;
  updateStep(step: StoredStep): Promise<void>;
  /** Makes all waiting step runs what `state` says. */
  replaceWaiting(runId: string, state: StepState): Promise<void>;
  removeSteps(runId: string, step: string): Promise<void>;
  /** Gives a segment the step runs that are in it. @returns false when the segment is there already */
  addSegment(segment: Segment, ordinal: number): Promise<boolean>;
  segment(id: string): Promise<StoredSegment | undefined>;
  /** Of these only the ones that have not ended, unless asked for all. */
  segments(runId: string, all?: boolean): Promise<StoredSegment[]>;
  countSegments(runId: string): Promise<number>;
  countFree(runId: string): Promise<number>;
  /** Ends a segment: what it did not start or not bring to an end can be planned again. */
  endSegment(id: string): Promise<void>;
  endSegments(runId: string): Promise<void>;
  addAttempt(attempt: StoredAttempt): Promise<void>;
  attempts(runId: string, name?: string): Promise<StoredAttempt[]>;
}

export const stepRepository = (db: Db): StepRepository => ({
  async addSteps(steps) {
    for (const batch of inBatches(steps.map(stepToRow))) await db.insertInto("step_run").values(batch).execute();
  },
  async steps(runId, page) {
    let query = db.selectFrom("step_run").selectAll().where("run_id", "=", runId).orderBy("ordinal");
    if (page) query = query.where("ordinal", ">", page.after).limit(page.limit);
    return (await query.execute()).map(stepFromRow);
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
  async stepsOf(runId, step) {
    const rows = await db
      .selectFrom("step_run")
      .selectAll()
      .where("run_id", "=", runId)
      .where("step", "=", step)
      .orderBy("ordinal")
      .execute();
    return rows.map(stepFromRow);
  },
  async firstStep(runId, status) {
    const row = await db
      .selectFrom("step_run")
      .selectAll()
      .where("run_id", "=", runId)
      .where("status", "=", status)
      .orderBy("ordinal")
      .limit(1)
      .executeTakeFirst();
    return row && stepFromRow(row);
  },
  async countSteps(runId) {
    const rows = await db
      .selectFrom("step_run")
      .select((of) => ["step", "status", of.fn.countAll<number>().as("count")])
      .where("run_id", "=", runId)
      .groupBy(["step", "status"])
      .execute();
    const counts = new Map<string, Partial<Record<StepStatus, number>>>();
    for (const { step, status, count } of rows) {
      counts.set(step, { ...counts.get(step), [status]: Number(count) });
    }
    return counts;
  },
  async hasOpenSteps(runId, step) {
    let query = db
      .selectFrom("step_run")
      .select("name")
      .where("run_id", "=", runId)
      .where("status", "in", ["waiting", "running"]);
    if (step !== undefined) query = query.where("step", "=", step);
    return (await query.limit(1).executeTakeFirst()) !== undefined;
  },
  async freeSteps(runId, limit) {
    const rows = await db
      .selectFrom("step_run")
      .selectAll()
      .where("run_id", "=", runId)
      .where("status", "=", "waiting")
      .where("segment_id", "is", null)
      .orderBy("ordinal")
      .limit(limit)
      .execute();
    return rows.map(stepFromRow);
  },
  async endedStates(runId, steps) {
    const found: { name: string; state: StepState }[] = [];
    for (const batch of inBatches(steps)) {
      const rows = await db
        .selectFrom("step_run")
        .selectAll()
        .where("run_id", "=", runId)
        .where("step", "in", batch)
        .where("status", "in", ["succeeded", "skipped"])
        .execute();
      found.push(...rows.map(stepFromRow));
    }
    return found;
  },
  async statesMentioning(text) {
    const rows = await db
      .selectFrom("step_run")
      .select("state")
      .where("state", "like", `%${text.replaceAll(/[%_]/g, "")}%`)
      .execute();
    return rows.map(({ state }) => state);
  },
  async updateStep(step) {
    await db
      .updateTable("step_run")
      .set(stepChange(step))
      .where("run_id", "=", step.runId)
      .where("name", "=", step.name)
      .execute();
  },
  async replaceWaiting(runId, state) {
    await db
      .updateTable("step_run")
      .set({ state: toJson(state), status: state.status })
      .where("run_id", "=", runId)
      .where("status", "=", "waiting")
      .execute();
  },
  async removeSteps(runId, step) {
    await db.deleteFrom("step_run").where("run_id", "=", runId).where("step", "=", step).execute();
  },
  async addSegment(segment, ordinal) {
    const { id, runId, agent, steps } = segment;
    const result = await db
      .insertInto("segment")
      .values({ id, run_id: runId, ordinal, agent, spec: toJson(segment), ended: toFlag(false) })
      .onConflict((conflict) => conflict.column("id").doNothing())
      .executeTakeFirst();
    if ((result.numInsertedOrUpdatedRows ?? 0n) === 0n) return false;
    for (const batch of inBatches(steps.map((step) => step.name))) {
      await db
        .updateTable("step_run")
        .set({ segment_id: id })
        .where("run_id", "=", runId)
        .where("name", "in", batch)
        .execute();
    }
    return true;
  },
  async segment(id) {
    const row = await db.selectFrom("segment").selectAll().where("id", "=", id).executeTakeFirst();
    return row && segmentFromRow(row);
  },
  async segments(runId, all = false) {
    let query = db.selectFrom("segment").selectAll().where("run_id", "=", runId).orderBy("ordinal");
    if (!all) query = query.where("ended", "=", toFlag(false));
    return (await query.execute()).map(segmentFromRow);
  },
  async countSegments(runId) {
    const row = await db
      .selectFrom("segment")
      .select((of) => of.fn.countAll<number>().as("count"))
      .where("run_id", "=", runId)
      .executeTakeFirst();
    return Number(row?.count ?? 0);
  },
  async countFree(runId) {
    const row = await db
      .selectFrom("step_run")
      .select((of) => of.fn.countAll<number>().as("count"))
      .where("run_id", "=", runId)
      .where("status", "=", "waiting")
      .where("segment_id", "is", null)
      .executeTakeFirst();
    return Number(row?.count ?? 0);
  },
  async endSegment(id) {
    await db
      .updateTable("segment")
      .set({ ended: toFlag(true) })
      .where("id", "=", id)
      .execute();
    await db
      .updateTable("step_run")
      .set({ segment_id: null, status: "waiting", state: toJson({ status: "waiting" }) })
      .where("segment_id", "=", id)
      .where("status", "in", ["waiting", "running"])
      .execute();
  },
  async endSegments(runId) {
    await db
      .updateTable("segment")
      .set({ ended: toFlag(true) })
      .where("run_id", "=", runId)
      .where("ended", "=", toFlag(false))
      .execute();
  },
  async addAttempt({ runId, segmentId, error, ...plain }) {
    await db
      .insertInto("attempt")
      .values({ ...plain, run_id: runId, segment_id: segmentId, error: toJson(error) })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  },
  async attempts(runId, name) {
    let query = db.selectFrom("attempt").selectAll().where("run_id", "=", runId).orderBy("name").orderBy("attempt");
    if (name !== undefined) query = query.where("name", "=", name);
    return (await query.execute()).map(attemptFromRow);
  },
});

function* inBatches<T>(items: readonly T[]): Iterable<T[]> {
  for (let at = 0; at < items.length; at += batchSize) yield items.slice(at, at + batchSize);
}
