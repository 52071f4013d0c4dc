import type { Db } from "../state/db.ts";

export type StoredToken = {
  readonly hash: string;
  readonly name: string;
  readonly runId: string | null;
  readonly created: string;
};

/** Tokens, by the hash of their text. A token of a run has the run's id. */
export interface TokenRepository {
  add(token: StoredToken): Promise<void>;
  find(hash: string): Promise<StoredToken | undefined>;
  removeOfRun(runId: string): Promise<void>;
}

export const tokenRepository = (db: Db): TokenRepository => ({
  async add({ hash, name, runId, created }) {
    await db
      .insertInto("token")
      .values({ hash, name, run_id: runId, created })
      .onConflict((conflict) => conflict.column("hash").doNothing())
      .execute();
  },
  async find(hash) {
    const row = await db.selectFrom("token").selectAll().where("hash", "=", hash).executeTakeFirst();
    return row && { hash: row.hash, name: row.name, runId: row.run_id, created: row.created };
  },
  async removeOfRun(runId) {
    await db.deleteFrom("token").where("run_id", "=", runId).execute();
  },
});
