import { type ArtifactAddress, type ArtifactKind, formatAddress } from "@fuseml/core/artifact/address";
import type { Selectable } from "kysely";
import { fromJson, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";
import type { Schema } from "../state/schema.ts";

/** The descriptor of an artifact version. Its contents are at `location`, never in the database. */
export type Artifact = {
  readonly address: ArtifactAddress;
  readonly location: string;
  /** Of the contents, as the store gives it; empty when the store has none. */
  readonly digest: string;
  readonly labels: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The run that made it. */
  readonly runId: string | null;
  readonly created: string;
};

export type LineageEdge = {
  readonly source: string;
  readonly target: string;
  readonly relation: string;
  readonly created: string;
};

export interface ArtifactRepository {
  /** @returns false when the address is taken: an artifact is never changed */
  add(artifact: Artifact): Promise<boolean>;
  get(address: ArtifactAddress): Promise<Artifact | undefined>;
  /** The version published last. */
  newest(kind: ArtifactKind, project: string, name: string): Promise<Artifact | undefined>;
  atLocation(location: string): Promise<Artifact | undefined>;
  /** Newest first. */
  list(filter: {
    kind?: string | undefined;
    project?: string | undefined;
    name?: string | undefined;
    limit: number;
  }): Promise<Artifact[]>;
  /** Makes a tag point to this version: tags move, addresses do not. */
  tag(address: ArtifactAddress, tag: string): Promise<void>;
  tagged(kind: ArtifactKind, project: string, name: string, tag: string): Promise<Artifact | undefined>;
  /** With their tags. */
  removeOf(kind: ArtifactKind, project: string, name: string): Promise<void>;
  /** Nodes are addresses, `run:<id>` and `application:<name>`. */
  link(edge: LineageEdge): Promise<void>;
  edgesFrom(source: string): Promise<LineageEdge[]>;
  edgesTo(target: string): Promise<LineageEdge[]>;
}

const fromRow = (row: Selectable<Schema["artifact"]>): Artifact => ({
  address: { kind: row.kind as ArtifactKind, project: row.project, name: row.name, version: row.version },
  location: row.location,
  digest: row.digest,
  labels: fromJson(row.labels),
  metadata: fromJson(row.metadata),
  runId: row.run_id,
  created: row.created,
});

export const artifactRepository = (db: Db): ArtifactRepository => ({
  async add({ address, location, digest, labels, metadata, runId, created }) {
    const result = await db
      .insertInto("artifact")
      .values({
        ...address,
        address: formatAddress(address),
        location,
        digest,
        labels: toJson(labels),
        metadata: toJson(metadata),
        run_id: runId,
        created,
      })
      .onConflict((conflict) => conflict.column("address").doNothing())
      .executeTakeFirst();
    return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
  },
  async get(address) {
    const row = await db
      .selectFrom("artifact")
      .selectAll()
      .where("address", "=", formatAddress(address))
      .executeTakeFirst();
    return row && fromRow(row);
  },
  async newest(kind, project, name) {
    const row = await db
      .selectFrom("artifact")
      .selectAll()
      .where("kind", "=", kind)
      .where("project", "=", project)
      .where("name", "=", name)
      .orderBy("seq", "desc")
      .limit(1)
      .executeTakeFirst();
    return row && fromRow(row);
  },
  async atLocation(location) {
    const row = await db
      .selectFrom("artifact")
      .selectAll()
      .where("location", "=", location)
      .orderBy("seq", "desc")
      .limit(1)
      .executeTakeFirst();
    return row && fromRow(row);
  },
  async list({ kind, project, name, limit }) {
    let query = db.selectFrom("artifact").selectAll();
    if (kind !== undefined) query = query.where("kind", "=", kind);
    if (project !== undefined) query = query.where("project", "=", project);
    if (name !== undefined) query = query.where("name", "=", name);
    return (await query.orderBy("seq", "desc").limit(limit).execute()).map(fromRow);
  },
  async tag({ kind, project, name, version }, tag) {
    await db
      .insertInto("artifact_tag")
      .values({ kind, project, name, tag, version })
      .onConflict((conflict) => conflict.columns(["kind", "project", "name", "tag"]).doUpdateSet({ version }))
      .execute();
  },
  async tagged(kind, project, name, tag) {
    const row = await db
      .selectFrom("artifact")
      .innerJoin("artifact_tag", (join) =>
        join
          .onRef("artifact_tag.kind", "=", "artifact.kind")
          .onRef("artifact_tag.project", "=", "artifact.project")
          .onRef("artifact_tag.name", "=", "artifact.name")
          .onRef("artifact_tag.version", "=", "artifact.version"),
      )
      .selectAll("artifact")
      .where("artifact_tag.kind", "=", kind)
      .where("artifact_tag.project", "=", project)
      .where("artifact_tag.name", "=", name)
      .where("artifact_tag.tag", "=", tag)
      .executeTakeFirst();
    return row && fromRow(row);
  },
  async removeOf(kind, project, name) {
    await db
      .deleteFrom("artifact_tag")
      .where("kind", "=", kind)
      .where("project", "=", project)
      .where("name", "=", name)
      .execute();
    await db
      .deleteFrom("artifact")
      .where("kind", "=", kind)
      .where("project", "=", project)
      .where("name", "=", name)
      .execute();
  },
  async link(edge) {
    await db
      .insertInto("lineage_edge")
      .values(edge)
      .onConflict((conflict) => conflict.columns(["source", "target", "relation"]).doNothing())
      .execute();
  },
  edgesFrom: (source) =>
    db.selectFrom("lineage_edge").selectAll().where("source", "=", source).orderBy("created").execute(),
  edgesTo: (target) =>
    db.selectFrom("lineage_edge").selectAll().where("target", "=", target).orderBy("created").execute(),
});
