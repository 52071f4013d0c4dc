import type { Assignment } from "@fuseml/core/assignment/match";
import type { Selectable } from "kysely";
import { fromJson, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";
import type { Schema } from "../state/schema.ts";

export type StoredAssignment = Assignment & {
  readonly workflow: string;
  /** Scalar inputs. */
  readonly values: Readonly<Record<string, string>>;
  readonly created: string;
};

export interface AssignmentRepository {
  /** @returns false when the workflow has the same bindings already */
  add(assignment: StoredAssignment): Promise<boolean>;
  /** Oldest first. */
  list(filter: { workflow?: string | undefined }): Promise<StoredAssignment[]>;
  remove(id: string): Promise<boolean>;
}

const fromRow = (row: Selectable<Schema["assignment"]>): StoredAssignment => ({
  ...row,
  bindings: fromJson(row.bindings),
  values: fromJson(row.values),
});

/** Bindings as text are compared by the database: the order of the names must not matter. */
const canonical = (bindings: Readonly<Record<string, string>>): string =>
  toJson(Object.fromEntries(Object.entries(bindings).sort(([a], [b]) => (a < b ? -1 : 1))));

export const assignmentRepository = (db: Db): AssignmentRepository => ({
  async add({ id, workflow, project, bindings, values, created }) {
    const result = await db
      .insertInto("assignment")
      .values({ id, workflow, project, bindings: canonical(bindings), values: toJson(values), created })
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
  async remove(id) {
    const result = await db.deleteFrom("assignment").where("id", "=", id).executeTakeFirst();
    return result.numDeletedRows > 0n;
  },
});
