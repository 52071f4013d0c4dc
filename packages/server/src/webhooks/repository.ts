import type { Selectable } from "kysely";
import { fromJson, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";
import type { Schema } from "../state/schema.ts";

/** Who is told of events. */
export type StoredWebhook = {
  readonly name: string;
  readonly url: string;
  /** `run.ended`, `step.*`; none means all. */
  readonly types: readonly string[];
  readonly project: string;
  readonly workflow: string;
  /** Sealed. */
  readonly secret: string;
  /** The number of the last event that was delivered, or was not for it. */
  readonly cursor: number;
  /** Since the last success. */
  readonly failures: number;
  readonly nextTry: string | null;
  readonly lastError: string | null;
  readonly created: string;
};

export interface WebhookRepository {
  /** @returns false when the name is taken */
  add(webhook: StoredWebhook): Promise<boolean>;
  /** By name. */
  list(): Promise<StoredWebhook[]>;
  update(name: string, change: Pick<StoredWebhook, "cursor" | "failures" | "nextTry" | "lastError">): Promise<void>;
  remove(name: string): Promise<boolean>;
}

const fromRow = ({ next_try, last_error, ...row }: Selectable<Schema["webhook"]>): StoredWebhook => ({
  ...row,
  types: fromJson(row.types),
  cursor: Number(row.cursor),
  nextTry: next_try,
  lastError: last_error,
});

export const webhookRepository = (db: Db): WebhookRepository => ({
  async add({ types, nextTry, lastError, ...plain }) {
    const result = await db
      .insertInto("webhook")
      .values({ ...plain, types: toJson(types), next_try: nextTry, last_error: lastError })
      .onConflict((conflict) => conflict.column("name").doNothing())
      .executeTakeFirst();
    return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
  },
  async list() {
    return (await db.selectFrom("webhook").selectAll().orderBy("name").execute()).map(fromRow);
  },
  async update(name, { cursor, failures, nextTry, lastError }) {
    await db
      .updateTable("webhook")
      .set({ cursor, failures, next_try: nextTry, last_error: lastError })
      .where("name", "=", name)
      .execute();
  },
  async remove(name) {
    const result = await db.deleteFrom("webhook").where("name", "=", name).executeTakeFirst();
    return result.numDeletedRows > 0n;
  },
});
