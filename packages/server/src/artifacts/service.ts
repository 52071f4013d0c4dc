import { type ArtifactAddress, formatAddress, formatShort } from "@fuseml/core/artifact/address";
import { failure } from "@fuseml/core/errors";
import type { Launcher } from "../runs/launcher.ts";
import { runSubject } from "../runs/subjects.ts";
import type { Store, Unit } from "../state/store.ts";
import type { Artifact, LineageEdge } from "./repository.ts";

export const applicationSubject = (name: string): string => `application:${name}`;

/** How a thing came to be: what it was made from, step by step, nearest first. */
export type Lineage = {
  readonly node: string;
  readonly edges: readonly LineageEdge[] /** In one line. */;
  readonly summary: string;
};

/** Descriptors of artifacts, and lineage. Publishing starts what depends on the artifact. */
export class ArtifactService {
  private readonly parts: { store: Store; launcher: Launcher };

  constructor(parts: ArtifactService["parts"]) {
    this.parts = parts;
  }

  /** Records an artifact. Recording the same contents again changes nothing. @throws `artifact.immutable` */
  async record(unit: Unit, artifact: Artifact): Promise<void> {
    if (!(await unit.artifacts.add(artifact))) {
      const present = await unit.artifacts.get(artifact.address);
      if (present && present.location !== artifact.location)
        throw failure("artifact.immutable", { name: formatAddress(artifact.address) });
      return;
    }
    if (artifact.runId) {
      await unit.artifacts.link({
        source: runSubject(artifact.runId),
        target: formatAddress(artifact.address),
        relation: "output",
        created: artifact.created,
      });
    }
  }

  /**
   * Records an artifact and, in the same transaction, starts what depends on it; the same artifact never twice.
   * @param changed the paths that differ from the version before, when there is one
   */
  async publish(unit: Unit, artifact: Artifact, changed?: readonly string[]): Promise<void> {
    await this.record(unit, artifact);
    await this.parts.launcher.onPublished(unit, artifact, changed);
  }

  async register(artifact: Artifact): Promise<Artifact> {
    await this.parts.store.transaction((unit) => this.publish(unit, artifact));
    return artifact;
  }

  /** @throws `artifact.not-found` */
  async get(address: ArtifactAddress): Promise<Artifact> {
    const artifact = await this.parts.store.read.artifacts.get(address);
    if (!artifact) throw failure("artifact.not-found", { name: formatAddress(address) });
    return artifact;
  }

  list(filter: {
    kind?: string | undefined;
    project?: string | undefined;
    name?: string | undefined;
    limit: number;
  }): Promise<Artifact[]> {
    return this.parts.store.read.artifacts.list(filter);
  }

  /** Everything that a node (an address, `run:<id>`, `application:<name>`) was made from. */
  async lineage(node: string): Promise<Lineage> {
    const { artifacts } = this.parts.store.read;
    const edges: LineageEdge[] = [];
    const seen = new Set([node]);
    const chain = [node];
    for (let frontier = [node]; frontier.length > 0; ) {
      const next: string[] = [];
      for (const at of frontier) {
        for (const edge of await artifacts.edgesTo(at)) {
          edges.push(edge);
          if (seen.has(edge.source)) continue;
          seen.add(edge.source);
          next.push(edge.source);
          chain.unshift(edge.source);
        }
      }
      frontier = next;
    }
    return { node, edges, summary: chain.map(shortNode).join(" → ") };
  }
}

const shortNode = (node: string): string => {
  const match = /^(code|model|dataset|runnable):\/\/([^/]+)\/([^/]+)\/(.+)$/.exec(node);
  if (!match) return node.replace(/^run:/, "").replace(/^application:/, "application ");
  const [, kind, project = "", name = "", version = ""] = match;
  return formatShort({ kind: kind as ArtifactAddress["kind"], project, name, version });
};
