import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";

/** Of one server. */
const connections = 10;
const connectWithinMs = 5000;

/**
 * Kysely on PostgreSQL. A connection that breaks is replaced by another one: what it was doing fails, and may be tried again.
 * @param standStillMs the database ends a transaction in which nothing happens for so long: a server that stands still in the
 *   middle of one would keep its locks from all others
 */
export function openPostgres<Schema>(
  url: string,
  broken: (error: Error) => void,
  standStillMs: number,
): Kysely<Schema> {
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: connectWithinMs,
    idle_in_transaction_session_timeout: standStillMs,
  });
  // a connection that the database closed: an idle one is told by the pool, one in use by itself
  pool.on("error", broken);
  pool.on("connect", (client) => client.on("error", broken));
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
}

/** Two transactions wait for each other, or one cannot be put in an order with others: the same once more will do. */
export const isConflict = (error: unknown): boolean =>
  ["40001", "40P01"].includes(String((error as { code?: unknown } | null)?.code));

const lost =
  /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|Client was closed)/;

/** The database cannot be reached, ends, starts or has no room: the same may work later. */
export function isPassing(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  // SQLSTATE: connection exceptions, resources, operator intervention, transactions in each other's way, or standing still
  if (/^((08|53|57|40)\w{3}|25P03)$/.test(String(code))) return true;
  return /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOENT)$/.test(String(code)) || lost.test(String(message));
}
