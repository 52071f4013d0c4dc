import { fromJson, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";

export type StoredRunnable = {
  readonly id: string;
  readonly kind: string;
  readonly created: string;
  readonly body: Readonly<Record<string, unknown>>;
};

export interface RunnableRepository {
  /** Writes the descriptor, in place of the one with this id. */
  save(runnable: StoredRunnable): Promise<void>;
  get(id: string): Promise<StoredRunnable | undefined>;
  list(): Promise<StoredRunnable[]>;
}

export const runnableRepository = (db: Db): RunnableRepository => {
  const fromRow = (row: { id: string; kind: string; created: string; body: string }): StoredRunnable => ({
    ...row,
    body: fromJson(row.body),
  });
  return {
    async save({ id, kind, created, body }) {
      await db
        .insertInto("runnable")
        .values({ id, kind, created, body: toJson(body) })
        .onConflict((conflict) => conflict.column("id").doUpdateSet({ kind, body: toJson(body) }))
        .execute();
    },
    async get(id) {
      const row = await db.selectFrom("runnable").selectAll().where("id", "=", id).executeTakeFirst();
      return row && fromRow(row);
    },
    async list() {
      return (await db.selectFrom("runnable").selectAll().orderBy("id").execute()).map(fromRow);
    },
  };
};
