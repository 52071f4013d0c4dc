import type { Selectable } from "kysely";
import { fromJson, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";
import type { Schema } from "../state/schema.ts";

export type StoredToken = {
  readonly hash: string;
  readonly name: string;
  readonly runId: string | null;
  readonly created: string;
  readonly roles: readonly string[];
};

/** Tokens, by the hash of their text. A token of a run has the run's id. */
export interface TokenRepository {
  add(token: StoredToken): Promise<void>;
  find(hash: string): Promise<StoredToken | undefined>;
  /** Those that are no run's, by name. */
  list(): Promise<StoredToken[]>;
  removeNamed(name: string): Promise<boolean>;
  removeOfRun(runId: string): Promise<void>;
}

const fromRow = (row: Selectable<Schema["token"]>): StoredToken => ({
  hash: row.hash,
  name: row.name,
  runId: row.run_id,
  created: row.created,
  roles: fromJson(row.roles),
});

export const tokenRepository = (db: Db): TokenRepository => ({
  async add({ hash, name, runId, created, roles }) {
    await db
      .insertInto("token")
      .values({ hash, name, run_id: runId, created, roles: toJson(roles) })
      .onConflict((conflict) => conflict.column("hash").doNothing())
      .execute();
  },
  async find(hash) {
    const row = await db.selectFrom("token").selectAll().where("hash", "=", hash).executeTakeFirst();
    return row && fromRow(row);
  },
  async list() {
    const rows = await db.selectFrom("token").selectAll().where("run_id", "is", null).orderBy("name").execute();
    return rows.map(fromRow);
  },
  async removeNamed(name) {
    const result = await db.deleteFrom("token").where("name", "=", name).where("run_id", "is", null).executeTakeFirst();
    return result.numDeletedRows > 0n;
  },
  async removeOfRun(runId) {
    await db.deleteFrom("token").where("run_id", "=", runId).execute();
  },
});
