import { fromJson, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";

export type StoredApplication = {
  readonly name: string;
  readonly type: string;
  readonly description: string;
  readonly url: string;
  readonly workflow: string;
  readonly k8s_namespace: string;
  readonly k8s_resources: readonly { readonly name: string; readonly kind: string }[];
  /** Counts from 1; grows each time it is registered again. */
  readonly revision: number;
  readonly created: string;
  readonly updated: string;
};

export type ApplicationRevision = {
  readonly application: string;
  readonly revision: number;
  readonly run_id: string | null;
  /** Address of the model that it serves. */
  readonly model: string | null;
  readonly created: string;
};

export interface ApplicationRepository {
  get(name: string): Promise<StoredApplication | undefined>;
  list(filter: { type?: string | undefined; workflow?: string | undefined }): Promise<StoredApplication[]>;
  save(application: StoredApplication, revision: ApplicationRevision): Promise<void>;
  /** Newest first. */
  revisions(name: string): Promise<ApplicationRevision[]>;
  remove(name: string): Promise<boolean>;
}

export const applicationRepository = (db: Db): ApplicationRepository => ({
  async get(name) {
    const row = await db.selectFrom("application").selectAll().where("name", "=", name).executeTakeFirst();
    return row && { ...row, k8s_resources: fromJson(row.k8s_resources) };
  },
  async list({ type, workflow }) {
    let query = db.selectFrom("application").selectAll();
    if (type !== undefined) query = query.where("type", "=", type);
    if (workflow !== undefined) query = query.where("workflow", "=", workflow);
    const rows = await query.orderBy("name").execute();
    return rows.map((row) => ({ ...row, k8s_resources: fromJson(row.k8s_resources) }));
  },
  async save(application, revision) {
    const row = { ...application, k8s_resources: toJson(application.k8s_resources) };
    const { created: _created, ...changes } = row;
    await db
      .insertInto("application")
      .values(row)
      .onConflict((conflict) => conflict.column("name").doUpdateSet(changes))
      .execute();
    await db.insertInto("application_revision").values(revision).execute();
  },
  revisions: (name) =>
    db
      .selectFrom("application_revision")
      .selectAll()
      .where("application", "=", name)
      .orderBy("revision", "desc")
      .execute(),
  async remove(name) {
    const result = await db.deleteFrom("application").where("name", "=", name).executeTakeFirst();
    return result.numDeletedRows > 0n;
  },
});
