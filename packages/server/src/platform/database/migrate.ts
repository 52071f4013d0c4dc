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
 * @throws `server.schema-too-new` when a newer FuseML wrote it
 */
export async function migrate(database: Kysely<unknown>, migrations: readonly Migration[]): Promise<void> {
  await sql`CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)`.execute(database);
  const found = await sql<{ version: number }>`SELECT version FROM schema_version`.execute(database);
  const present = found.rows[0]?.version ?? 0;
  if (present > migrations.length) throw failure("server.schema-too-new", { found: present, known: migrations.length });
  for (const [index, migration] of migrations.entries()) {
    const version = index + 1;
    if (version <= present) continue;
    await database.transaction().execute(async (transaction) => {
      for (const statement of migration.statements) await sql.raw(statement).execute(transaction);
      await migration.after?.(transaction);
      await sql`DELETE FROM schema_version`.execute(transaction);
      await sql`INSERT INTO schema_version (version) VALUES (${version})`.execute(transaction);
    });
  }
}
