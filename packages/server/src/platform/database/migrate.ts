import { failure } from "@fuseml/core/errors";
import { type Kysely, sql } from "kysely";

/** One step of the schema. Its number is its place in the list, from 1; a released step is never edited. */
export type Migration = {
  readonly name: string;
  readonly statements: readonly string[];
  /** What SQL that both databases speak cannot say; in the same transaction. */
  readonly after?: (transaction: Kysely<unknown>) => Promise<void>;
};

/**
 * Brings a database to the newest schema, each step in a transaction of its own.
 * @param lock a statement that lets one server at a time do it, where several may
 * @throws `server.schema-too-new` when a newer FuseML wrote it
 */
export async function migrate(
  database: Kysely<unknown>,
  migrations: readonly Migration[],
  lock?: string,
): Promise<void> {
  const inTurn = (work: (transaction: Kysely<unknown>) => Promise<void>): Promise<void> =>
    database.transaction().execute(async (transaction) => {
      if (lock !== undefined) await sql.raw(lock).execute(transaction);
      await work(transaction);
    });
  await inTurn(async (transaction) => {
    await sql`CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)`.execute(transaction);
  });
  for (const [index, migration] of migrations.entries()) {
    await inTurn(async (transaction) => {
      if ((await versionOf(transaction, migrations.length)) > index) return;
      for (const statement of migration.statements) await sql.raw(statement).execute(transaction);
      await migration.after?.(transaction);
      await sql`DELETE FROM schema_version`.execute(transaction);
      await sql`INSERT INTO schema_version (version) VALUES (${index + 1})`.execute(transaction);
    });
  }
}

async function versionOf(database: Kysely<unknown>, known: number): Promise<number> {
  const found = await sql<{ version: number }>`SELECT version FROM schema_version`.execute(database);
  const version = found.rows[0]?.version ?? 0;
  if (version > known) throw failure("server.schema-too-new", { found: version, known });
  return version;
}
