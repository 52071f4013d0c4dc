import { sql } from "kysely";
import type { Db } from "../state/db.ts";

/** A server process over the database. Its beat grows as long as it lives. */
export type StoredReplica = {
  readonly id: string;
  readonly url: string;
  readonly host: string;
  readonly beat: number;
};

export interface ReplicaRepository {
  /** Writes the replica, in place of the one with its id. */
  save(replica: StoredReplica): Promise<void>;
  /** @returns false when others have removed it, because they did not hear of it */
  beat(id: string): Promise<boolean>;
  /** By id. */
  list(): Promise<StoredReplica[]>;
  remove(id: string): Promise<void>;
}

export const replicaRepository = (db: Db): ReplicaRepository => ({
  async save(replica) {
    await db
      .insertInto("replica")
      .values(replica)
      .onConflict((conflict) => conflict.column("id").doUpdateSet(replica))
      .execute();
  },
  async beat(id) {
    const result = await db
      .updateTable("replica")
      .set({ beat: sql<number>`beat + 1` })
      .where("id", "=", id)
      .executeTakeFirst();
    return result.numUpdatedRows > 0n;
  },
  list: () => db.selectFrom("replica").selectAll().orderBy("id").execute(),
  async remove(id) {
    await db.deleteFrom("replica").where("id", "=", id).execute();
  },
});
