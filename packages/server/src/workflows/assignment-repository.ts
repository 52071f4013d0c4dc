import type { Assignment } from "@fuseml/core/assignment/match";
import type { Schedule } from "@fuseml/core/workflow/definition";
import type { Selectable } from "kysely";
import { fromJson, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";
import type { Schema } from "../state/schema.ts";

export type StoredAssignment = Assignment & {
  readonly workflow: string;
  /** Scalar inputs. */
  readonly values: Readonly<Record<string, string>>;
  readonly created: string;
  /** What a newer run does to older ones for the same things: nothing, end them, or wait for the one under way. */
  readonly newer: NewerPolicy;
  readonly schedule: Schedule | null;
  /** When it starts the next run by itself. */
  readonly nextMoment: string | null;
};

export const newerPolicies = ["parallel", "cancel", "queue"] as const;
export type NewerPolicy = (typeof newerPolicies)[number];

export interface AssignmentRepository {
  /** @returns false when the workflow has the same bindings already */
  add(assignment: StoredAssignment): Promise<boolean>;
  /** Oldest first. */
  list(filter: { workflow?: string | undefined }): Promise<StoredAssignment[]>;
  get(id: string): Promise<StoredAssignment | undefined>;
  /** Those whose moment has come. */
  due(now: string): Promise<StoredAssignment[]>;
  /** The earliest moment of all. */
  nextMoment(): Promise<string | undefined>;
  update(id: string, change: Partial<Pick<StoredAssignment, "newer" | "schedule" | "nextMoment">>): Promise<void>;
  remove(id: string): Promise<boolean>;
}

const fromRow = ({ next_moment, schedule, newer, ...row }: Selectable<Schema["assignment"]>): StoredAssignment => ({
  ...row,
  newer: newer as NewerPolicy,
  schedule: schedule === null ? null : fromJson(schedule),
  nextMoment: next_moment,
  bindings: fromJson(row.bindings),
  values: fromJson(row.values),
});

/** Bindings as text are compared by the database: the order of the names must not matter. */
const canonical = (bindings: Readonly<Record<string, string>>): string =>
  toJson(Object.fromEntries(Object.entries(bindings).sort(([a], [b]) => (a < b ? -1 : 1))));

export const assignmentRepository = (db: Db): AssignmentRepository => ({
  async add({ id, workflow, project, bindings, values, created, newer, schedule, nextMoment }) {
    const result = await db
      .insertInto("assignment")
      .values({
        id,
        workflow,
        project,
        bindings: canonical(bindings),
        values: toJson(values),
        created,
        newer,
        schedule: schedule === null ? null : toJson(schedule),
        next_moment: nextMoment,
      })
      .onConflict((conflict) => conflict.columns(["workflow", "bindings"]).doNothing())
      .executeTakeFirst();
    return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
  },
  async list({ workflow }) {
    const rows = await db
      .selectFrom("assignment")
      .selectAll()
      .$if(workflow !== undefined, (query) => query.where("workflow", "=", workflow ?? ""))
      .orderBy("id")
      .execute();
    return rows.map(fromRow);
  },
  async get(id) {
    const row = await db.selectFrom("assignment").selectAll().where("id", "=", id).executeTakeFirst();
    return row && fromRow(row);
  },
  async due(now) {
    const rows = await db
      .selectFrom("assignment")
      .selectAll()
      .where("next_moment", "<=", now)
      .orderBy("next_moment")
      .execute();
    return rows.map(fromRow);
  },
  async nextMoment() {
    const row = await db
      .selectFrom("assignment")
      .select((of) => of.fn.min("next_moment").as("next"))
      .executeTakeFirst();
    return row?.next ?? undefined;
  },
  async update(id, { newer, schedule, nextMoment }) {
    await db
      .updateTable("assignment")
      .set({
        ...(newer === undefined ? {} : { newer }),
        ...(schedule === undefined ? {} : { schedule: schedule === null ? null : toJson(schedule) }),
        ...(nextMoment === undefined ? {} : { next_moment: nextMoment }),
      })
      .where("id", "=", id)
      .execute();
  },
  async remove(id) {
    const result = await db.deleteFrom("assignment").where("id", "=", id).executeTakeFirst();
    return result.numDeletedRows > 0n;
  },
});
