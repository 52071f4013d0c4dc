import type { Selectable } from "kysely";
import { fromJson, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";
import type { Schema } from "../state/schema.ts";

/** Something that happened, written in the transaction in which it happened. `seq` orders all events. */
export type StoredEvent = {
  readonly seq: number;
  readonly subject: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly time: string;
};

export interface EventRepository {
  append(event: Omit<StoredEvent, "seq">): Promise<void>;
  /** Of a subject, after `seq`, in order. */
  after(subject: string, seq: number): Promise<StoredEvent[]>;
  /** Of every subject, after `seq`, in order. */
  page(seq: number, limit: number): Promise<StoredEvent[]>;
  /** The number of the newest one; 0 when there is none. */
  last(): Promise<number>;
  removeOf(subject: string): Promise<void>;
}

// PostgreSQL gives large numbers as text
const fromRow = (row: Selectable<Schema["event"]>): StoredEvent => ({
  ...row,
  seq: Number(row.seq),
  data: fromJson(row.data),
});

/** @param inOrder where transactions overlap: makes those that append wait for each other, so that numbers grow as they are seen */
export const eventRepository = (db: Db, inOrder?: (db: Db) => Promise<void>): EventRepository => ({
  async append({ subject, type, data, time }) {
    await inOrder?.(db);
    await db
      .insertInto("event")
      .values({ subject, type, data: toJson(data), time })
      .execute();
  },
  async after(subject, seq) {
    const rows = await db
      .selectFrom("event")
      .selectAll()
      .where("subject", "=", subject)
      .where("seq", ">", seq)
      .orderBy("seq")
      .execute();
    return rows.map(fromRow);
  },
  async page(seq, limit) {
    const rows = await db.selectFrom("event").selectAll().where("seq", ">", seq).orderBy("seq").limit(limit).execute();
    return rows.map(fromRow);
  },
  async last() {
    const row = await db
      .selectFrom("event")
      .select((of) => of.fn.max("seq").as("last"))
      .executeTakeFirst();
    return Number(row?.last ?? 0);
  },
  async removeOf(subject) {
    await db.deleteFrom("event").where("subject", "=", subject).execute();
  },
});
