import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { Kysely, type SqliteDatabase, SqliteDialect, type SqliteStatement } from "kysely";

/** Statements kept prepared. The set of SQL texts is small and fixed; lists of values make it grow a little. */
const keptStatements = 500;

/**
 * Kysely on the SQLite that is built into Node.
 * WAL with full sync: a transaction that was acknowledged survives a power cut.
 * @param location a file, or `:memory:`
 */
export function openSqlite<Schema>(location: string): Kysely<Schema> {
  const database = new DatabaseSync(location);
  database.exec(
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000; PRAGMA trusted_schema = OFF;",
  );
  return new Kysely<Schema>({ dialect: new SqliteDialect({ database: adapt(database) }) });
}

function adapt(database: DatabaseSync): SqliteDatabase {
  const prepared = new Map<string, SqliteStatement>();
  return {
    close: () => database.close(),
    prepare: (sql) => {
      const known = prepared.get(sql);
      if (known) return known;
      const statement = adaptStatement(database, sql);
      if (prepared.size >= keptStatements) prepared.clear();
      prepared.set(sql, statement);
      return statement;
    },
  };
}

function adaptStatement(database: DatabaseSync, sql: string): SqliteStatement {
  const statement: StatementSync = database.prepare(sql);
  const values = (parameters: readonly unknown[]) => parameters as SQLInputValue[];
  // a full disk makes SQLite roll back by itself: rolling back what is over already must not hide why
  const isRollback = sql.trim().toLowerCase() === "rollback";
  const over = () => isRollback && !database.isTransaction;
  return {
    reader: statement.columns().length > 0,
    // rows come without a prototype; other drivers give plain objects
    all: (parameters) => statement.all(...values(parameters)).map((row) => ({ ...row })),
    run: (parameters) => (over() ? { changes: 0, lastInsertRowid: 0 } : statement.run(...values(parameters))),
    iterate: (parameters) => statement.iterate(...values(parameters)) as IterableIterator<unknown>,
  };
}

/** Busy, locked, a fault of the disk: the same may work later. */
export const isPassing = (error: unknown): boolean =>
  [5, 6, 10].includes(Number((error as { errcode?: unknown } | null)?.errcode) % 256);
