import type { ReuseParts } from "@fuseml/core/run/reuse";
import type { Outputs } from "@fuseml/core/run/state";
import type { Selectable } from "kysely";
import { fromJson, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";
import type { Schema } from "../state/schema.ts";

/** A result of a step that may be taken again. */
export type CacheEntry = {
  readonly key: string;
  readonly workflow: string;
  readonly step: string;
  readonly project: string;
  readonly parts: ReuseParts;
  /** The run and the step run that made it. */
  readonly runId: string;
  readonly stepRun: string;
  readonly outputs: Outputs;
  /** For each output that points to something: a digest of that. */
  readonly witnesses: Readonly<Record<string, string>>;
  readonly created: string;
  readonly used: string;
};

export type CacheFilter = {
  readonly workflow?: string | undefined;
  readonly step?: string | undefined;
  /** The key or its beginning. */
  readonly key?: string | undefined;
};

/** Results that are kept for reuse, by their key. */
export interface CacheRepository {
  get(key: string): Promise<CacheEntry | undefined>;
  /** The newest of a step: what a new key is compared with. */
  newest(workflow: string, step: string): Promise<CacheEntry | undefined>;
  /** Newest first. */
  list(filter: CacheFilter & { limit: number }): Promise<CacheEntry[]>;
  /** Writes an entry, in place of the one with its key. */
  save(entry: CacheEntry): Promise<void>;
  markUsed(key: string, at: string): Promise<void>;
  /** @returns how many there were */
  remove(filter: CacheFilter): Promise<number>;
}

const fromRow = ({ run_id, step_run, ...row }: Selectable<Schema["cache_entry"]>): CacheEntry => ({
  ...row,
  runId: run_id,
  stepRun: step_run,
  parts: fromJson(row.parts),
  outputs: fromJson(row.outputs),
  witnesses: fromJson(row.witnesses),
});

export const cacheRepository = (db: Db): CacheRepository => ({
  async get(key) {
    const row = await db.selectFrom("cache_entry").selectAll().where("key", "=", key).executeTakeFirst();
    return row && fromRow(row);
  },
  async newest(workflow, step) {
    const row = await db
      .selectFrom("cache_entry")
      .selectAll()
      .where("workflow", "=", workflow)
      .where("step", "=", step)
      .orderBy("created", "desc")
      .limit(1)
      .executeTakeFirst();
    return row && fromRow(row);
  },
  async list({ workflow, step, key, limit }) {
    let query = db.selectFrom("cache_entry").selectAll();
    if (workflow !== undefined) query = query.where("workflow", "=", workflow);
    if (step !== undefined) query = query.where("step", "=", step);
    if (key !== undefined) query = query.where("key", "like", `${key}%`);
    return (await query.orderBy("created", "desc").orderBy("key").limit(limit).execute()).map(fromRow);
  },
  async save({ runId, stepRun, parts, outputs, witnesses, ...plain }) {
    const row = {
      ...plain,
      run_id: runId,
      step_run: stepRun,
      parts: toJson(parts),
      outputs: toJson(outputs),
      witnesses: toJson(witnesses),
    };
    await db
      .insertInto("cache_entry")
      .values(row)
      .onConflict((conflict) => conflict.column("key").doUpdateSet(row))
      .execute();
  },
  async markUsed(key, at) {
    await db.updateTable("cache_entry").set({ used: at }).where("key", "=", key).execute();
  },
  async remove({ workflow, step, key }) {
    let query = db.deleteFrom("cache_entry");
    if (workflow !== undefined) query = query.where("workflow", "=", workflow);
    if (step !== undefined) query = query.where("step", "=", step);
    if (key !== undefined) query = query.where("key", "like", `${key}%`);
    return Number((await query.executeTakeFirst()).numDeletedRows);
  },
});
