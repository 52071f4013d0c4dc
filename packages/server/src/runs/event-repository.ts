import { fromJson, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";

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
}

export const eventRepository = (db: Db): EventRepository => ({
  async append({ subject, type, data, time }) {
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
    return rows.map((row) => ({ ...row, data: fromJson(row.data) }));
  },
});
