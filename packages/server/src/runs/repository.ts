import { sql } from "kysely";
import { toFlag, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";
import type { RunFilter, StoredRun } from "./records.ts";
import { runFromRow, runToRow } from "./rows.ts";
import { type StepRepository, stepRepository } from "./step-repository.ts";

export type { RunCause, RunFilter, StoredAttempt, StoredRun, StoredSegment, StoredStep } from "./records.ts";

/** What of a run changes after it was started. */
export type RunChange = Partial<
  Pick<
    StoredRun,
    | "status"
    | "error"
    | "outputs"
    | "started"
    | "ended"
    | "owner"
    | "deadline"
    | "stepwise"
    | "definition"
    | "queued"
    | "cancelRequested"
  >
>;

/** Runs, and by `StepRepository` their steps and segments. */
export interface RunRepository extends StepRepository {
  /** @returns false, and writes nothing, when there is a run with this match key */
  add(run: StoredRun): Promise<boolean>;
  get(id: string): Promise<StoredRun | undefined>;
  /** The run whose id starts so, when there is exactly one: people type the beginning. */
  findByPrefix(prefix: string): Promise<StoredRun | undefined>;
  /** Newest first. */
  list(filter: RunFilter): Promise<StoredRun[]>;
  /** Runs that have not ended, oldest first; with `owner`, those that it drives. */
  active(filter?: { owner?: string | null; queueKey?: string }): Promise<StoredRun[]>;
  /** Oldest first: runs that ended before an instant, and from which no application came; ids behind `after`. */
  endedBefore(instant: string, limit: number, after?: string): Promise<StoredRun[]>;
  update(id: string, change: RunChange): Promise<void>;
  /**
   * The run, held until the transaction ends, when this owner drives it. Two replicas never both get it.
   * @returns nothing when it is another's, or gone
   */
  hold(id: string, owner: string): Promise<StoredRun | undefined>;
  /** Makes the owner drive a run that `from` drove. @returns whether it was so */
  take(id: string, from: string | null, owner: string): Promise<boolean>;
  /** Makes the owner drive all runs that have not ended. */
  takeAll(owner: string): Promise<void>;
  remove(id: string): Promise<boolean>;
}

export const runRepository = (db: Db): RunRepository => ({
  ...stepRepository(db),
  async add(run) {
    const result = await db
      .insertInto("run")
      .values(runToRow(run))
      .onConflict((conflict) => conflict.column("match_key").doNothing())
      .executeTakeFirst();
    if ((result.numInsertedOrUpdatedRows ?? 0n) === 0n) return false;
    for (const { project, name } of Object.values(run.pins.codesets)) {
      await db
        .insertInto("run_codeset")
        .values({ project, name, run_id: run.id })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    }
    return true;
  },
  async get(id) {
    const row = await db.selectFrom("run").selectAll().where("id", "=", id).executeTakeFirst();
    return row && runFromRow(row);
  },
  async findByPrefix(prefix) {
    const rows = await db
      .selectFrom("run")
      .selectAll()
      .where("id", ">=", prefix)
      .where("id", "<", `${prefix}~`)
      .limit(2)
      .execute();
    const [only, another] = rows;
    return only && !another ? runFromRow(only) : undefined;
  },
  async list({ workflow, project, codesetProject, codesetName, status, before, from, limit }) {
    let query = db.selectFrom("run").selectAll("run");
    if (workflow !== undefined) query = query.where("workflow", "=", workflow);
    if (project !== undefined) query = query.where("run.project", "=", project);
    if (status !== undefined) query = query.where("status", "=", status);
    if (before !== undefined) query = query.where("id", "<", before);
    if (from !== undefined) query = query.where("id", ">=", from);
    if (codesetProject !== undefined || codesetName !== undefined) {
      query = query.where("id", "in", (of) => {
        let codesets = of.selectFrom("run_codeset").select("run_codeset.run_id");
        if (codesetProject !== undefined) codesets = codesets.where("run_codeset.project", "=", codesetProject);
        if (codesetName !== undefined) codesets = codesets.where("run_codeset.name", "=", codesetName);
        return codesets;
      });
    }
    return (await query.orderBy("id", "desc").limit(limit).execute()).map(runFromRow);
  },
  async active(filter = {}) {
    let query = db.selectFrom("run").selectAll().where("status", "in", ["pending", "running"]);
    if (filter.owner === null) query = query.where("owner", "is", null);
    else if (filter.owner !== undefined) query = query.where("owner", "=", filter.owner);
    if (filter.queueKey !== undefined) query = query.where("queue_key", "=", filter.queueKey);
    return (await query.orderBy("id").execute()).map(runFromRow);
  },
  async endedBefore(instant, limit, after = "") {
    const rows = await db
      .selectFrom("run")
      .selectAll()
      .where("ended", "is not", null)
      .where("ended", "<", instant)
      .where("id", ">", after)
      .where("id", "not in", (of) =>
        of
          .selectFrom("application_revision")
          .select("run_id")
          .where("run_id", "is not", null)
          .$castTo<{ run_id: string }>(),
      )
      .orderBy("id")
      .limit(limit)
      .execute();
    return rows.map(runFromRow);
  },
  async update(id, change) {
    await db.updateTable("run").set(columnsOf(change)).where("id", "=", id).execute();
  },
  async hold(id, owner) {
    // the update takes the row's lock; nothing changes
    const row = await db
      .updateTable("run")
      .set({ owner })
      .where("id", "=", id)
      .where("owner", "=", owner)
      .returningAll()
      .executeTakeFirst();
    return row && runFromRow(row);
  },
  async take(id, from, owner) {
    const result = await db
      .updateTable("run")
      .set({ owner })
      .where("id", "=", id)
      .where(from === null ? sql<boolean>`owner IS NULL` : sql<boolean>`owner = ${from}`)
      .executeTakeFirst();
    return result.numUpdatedRows > 0n;
  },
  async takeAll(owner) {
    await db.updateTable("run").set({ owner }).where("status", "in", ["pending", "running"]).execute();
  },
  async remove(id) {
    const result = await db.deleteFrom("run").where("id", "=", id).executeTakeFirst();
    return result.numDeletedRows > 0n;
  },
});

function columnsOf({ error, outputs, stepwise, definition, queued, cancelRequested, ...plain }: RunChange) {
  return {
    ...plain,
    ...(error === undefined ? {} : { error: error === null ? null : toJson(error) }),
    ...(outputs === undefined ? {} : { outputs: toJson(outputs) }),
    ...(stepwise === undefined ? {} : { stepwise: toFlag(stepwise) }),
    ...(definition === undefined ? {} : { definition: definition === null ? null : toJson(definition) }),
    ...(queued === undefined ? {} : { queued: toFlag(queued) }),
    ...(cancelRequested === undefined ? {} : { cancel_requested: cancelRequested }),
  };
}
