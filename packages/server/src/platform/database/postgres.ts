import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";

/** Of one server. */
const connections = 10;
const connectWithinMs = 5000;

/** Kysely on PostgreSQL. A connection that breaks is replaced by another one: what it was doing fails, and may be tried again. */
export function openPostgres<Schema>(url: string, broken: (error: Error) => void): Kysely<Schema> {
  const pool = new pg.Pool({ connectionString: url, max: connections, connectionTimeoutMillis: connectWithinMs });
  // an idle connection that the database closed
  pool.on("error", broken);
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
}

/** Two transactions wait for each other, or one cannot be put in an order with others: the same once more will do. */
export const isConflict = (error: unknown): boolean =>
  ["40001", "40P01"].includes(String((error as { code?: unknown } | null)?.code));
