import { fromJson, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";

export type StoredCodeset = {
  readonly project: string;
  readonly name: string;
  readonly description: string;
  readonly labels: readonly string[];
  readonly created: string;
};

export interface CodesetRepository {
  /** @returns false when the name is taken in the project */
  add(codeset: StoredCodeset): Promise<boolean>;
  get(project: string, name: string): Promise<StoredCodeset | undefined>;
  /** By project and name; `label` keeps those that have it. */
  list(filter: { project?: string | undefined; label?: string | undefined }): Promise<StoredCodeset[]>;
  remove(project: string, name: string): Promise<boolean>;
}

export const codesetRepository = (db: Db): CodesetRepository => ({
  async add(codeset) {
    const result = await db
      .insertInto("codeset")
      .values({ ...codeset, labels: toJson(codeset.labels) })
      .onConflict((conflict) => conflict.columns(["project", "name"]).doNothing())
      .executeTakeFirst();
    return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
  },
  async get(project, name) {
    const row = await db
      .selectFrom("codeset")
      .selectAll()
      .where("project", "=", project)
      .where("name", "=", name)
      .executeTakeFirst();
    return row && { ...row, labels: fromJson(row.labels) };
  },
  async list({ project, label }) {
    const rows = await db
      .selectFrom("codeset")
      .selectAll()
      .$if(project !== undefined, (query) => query.where("project", "=", project ?? ""))
      .orderBy("project")
      .orderBy("name")
      .execute();
    const codesets = rows.map((row) => ({ ...row, labels: fromJson<string[]>(row.labels) }));
    return label === undefined ? codesets : codesets.filter((codeset) => codeset.labels.includes(label));
  },
  async remove(project, name) {
    const result = await db
      .deleteFrom("codeset")
      .where("project", "=", project)
      .where("name", "=", name)
      .executeTakeFirst();
    return result.numDeletedRows > 0n;
  },
});
