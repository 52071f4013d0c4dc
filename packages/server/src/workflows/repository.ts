import type { WorkflowDefinition } from "@fuseml/core/workflow/definition";
import { fromJson, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";

/** A version of a workflow. Versions count from 1 and are never changed. */
export type StoredWorkflow = {
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly definition: WorkflowDefinition;
  readonly created: string;
};

export interface WorkflowRepository {
  /** The present version. */
  get(name: string): Promise<StoredWorkflow | undefined>;
  getVersion(name: string, version: number): Promise<StoredWorkflow | undefined>;
  list(name?: string): Promise<StoredWorkflow[]>;
  /** The highest version that there ever was, also of a workflow that was removed; 0 when there was none. */
  lastVersion(name: string): Promise<number>;
  /** Adds version 1 or the next one, and makes it the present one. */
  save(workflow: StoredWorkflow): Promise<void>;
  /** Runs keep their version. */
  remove(name: string): Promise<boolean>;
}

export const workflowRepository = (db: Db): WorkflowRepository => {
  const versions = () => db.selectFrom("workflow_version").selectAll("workflow_version");
  const present = () =>
    versions().innerJoin("workflow", (join) =>
      join
        .onRef("workflow.name", "=", "workflow_version.name")
        .onRef("workflow.version", "=", "workflow_version.version"),
    );
  const fromRow = (row: {
    name: string;
    version: number;
    digest: string;
    definition: string;
    created: string;
  }): StoredWorkflow => ({
    ...row,
    definition: fromJson(row.definition),
  });
  return {
    async get(name) {
      const row = await present().where("workflow.name", "=", name).executeTakeFirst();
      return row && fromRow(row);
    },
    async getVersion(name, version) {
      const row = await versions().where("name", "=", name).where("version", "=", version).executeTakeFirst();
      return row && fromRow(row);
    },
    async list(name) {
      const rows = await present()
        .$if(name !== undefined, (query) => query.where("workflow.name", "=", name ?? ""))
        .orderBy("workflow.name")
        .execute();
      return rows.map(fromRow);
    },
    async lastVersion(name) {
      const row = await db
        .selectFrom("workflow_version")
        .select((of) => of.fn.max("version").as("last"))
        .where("name", "=", name)
        .executeTakeFirst();
      return Number(row?.last ?? 0);
    },
    async save({ name, version, digest, definition, created }) {
      await db
        .insertInto("workflow_version")
        .values({ name, version, digest, definition: toJson(definition), created })
        .execute();
      await db
        .insertInto("workflow")
        .values({ name, version, created, updated: created })
        .onConflict((conflict) => conflict.column("name").doUpdateSet({ version, updated: created }))
        .execute();
    },
    async remove(name) {
      const result = await db.deleteFrom("workflow").where("name", "=", name).executeTakeFirst();
      return result.numDeletedRows > 0n;
    },
  };
};
