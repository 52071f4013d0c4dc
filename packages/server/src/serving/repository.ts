import { fromJson, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";

/** What one revision of an inference service serves. */
export type ServedRevision = {
  readonly name: string;
  readonly generation: number;
  readonly storageUri: string;
  readonly state: "loading" | "ready" | "failed";
  readonly message: string;
  /** Of the model server, once it was started. */
  readonly port?: number;
  /** Of the model's contents, once they were fetched. */
  readonly digest?: string;
};

/** An `InferenceService` of the embedded serving platform. */
export type StoredInferenceService = {
  readonly namespace: string;
  readonly name: string;
  /** Grows with every change of the spec. */
  readonly generation: number;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly metadata: {
    readonly uid: string;
    readonly labels: Record<string, string>;
    readonly annotations: Record<string, string>;
  };
  /** Newest last. The last ready one takes the traffic. */
  readonly revisions: readonly ServedRevision[];
  readonly created: string;
};

export interface InferenceServiceRepository {
  get(namespace: string, name: string): Promise<StoredInferenceService | undefined>;
  list(namespace?: string): Promise<StoredInferenceService[]>;
  save(service: StoredInferenceService): Promise<void>;
  remove(namespace: string, name: string): Promise<boolean>;
}

export const inferenceServiceRepository = (db: Db): InferenceServiceRepository => {
  type Row = Omit<StoredInferenceService, "spec" | "metadata" | "revisions"> & {
    spec: string;
    metadata: string;
    revisions: string;
  };
  const fromRow = (row: Row): StoredInferenceService => ({
    ...row,
    spec: fromJson(row.spec),
    metadata: fromJson(row.metadata),
    revisions: fromJson(row.revisions),
  });
  return {
    async get(namespace, name) {
      const row = await db
        .selectFrom("inference_service")
        .selectAll()
        .where("namespace", "=", namespace)
        .where("name", "=", name)
        .executeTakeFirst();
      return row && fromRow(row);
    },
    async list(namespace) {
      const rows = await db
        .selectFrom("inference_service")
        .selectAll()
        .$if(namespace !== undefined, (query) => query.where("namespace", "=", namespace ?? ""))
        .orderBy("namespace")
        .orderBy("name")
        .execute();
      return rows.map(fromRow);
    },
    async save({ spec, metadata, revisions, ...rest }) {
      const row = { ...rest, spec: toJson(spec), metadata: toJson(metadata), revisions: toJson(revisions) };
      await db
        .insertInto("inference_service")
        .values(row)
        .onConflict((conflict) => conflict.columns(["namespace", "name"]).doUpdateSet(row))
        .execute();
    },
    async remove(namespace, name) {
      const result = await db
        .deleteFrom("inference_service")
        .where("namespace", "=", namespace)
        .where("name", "=", name)
        .executeTakeFirst();
      return result.numDeletedRows > 0n;
    },
  };
};

export type KubernetesObjectKind = "Secret" | "ServiceAccount";

/** Objects that an inference service refers to. The body is sealed. */
export interface KubernetesObjectRepository {
  get(kind: KubernetesObjectKind, namespace: string, name: string): Promise<string | undefined>;
  save(kind: KubernetesObjectKind, namespace: string, name: string, body: string): Promise<void>;
  remove(kind: KubernetesObjectKind, namespace: string, name: string): Promise<boolean>;
}

export const kubernetesObjectRepository = (db: Db): KubernetesObjectRepository => ({
  async get(kind, namespace, name) {
    const row = await db
      .selectFrom("kubernetes_object")
      .select("body")
      .where("kind", "=", kind)
      .where("namespace", "=", namespace)
      .where("name", "=", name)
      .executeTakeFirst();
    return row?.body;
  },
  async save(kind, namespace, name, body) {
    await db
      .insertInto("kubernetes_object")
      .values({ kind, namespace, name, body })
      .onConflict((conflict) => conflict.columns(["kind", "namespace", "name"]).doUpdateSet({ body }))
      .execute();
  },
  async remove(kind, namespace, name) {
    const result = await db
      .deleteFrom("kubernetes_object")
      .where("kind", "=", kind)
      .where("namespace", "=", namespace)
      .where("name", "=", name)
      .executeTakeFirst();
    return result.numDeletedRows > 0n;
  },
});
