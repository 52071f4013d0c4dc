import { type ArtifactAddress, namePattern } from "@fuseml/core/artifact/address";
import { failure } from "@fuseml/core/errors";
import type { Artifact } from "../artifacts/repository.ts";
import type { ArtifactService } from "../artifacts/service.ts";
import { type Clock, instant } from "../platform/clock.ts";
import type { ProjectService, ProjectUser } from "../projects/service.ts";
import { headOf, headTag } from "../runs/launcher.ts";
import type { Store } from "../state/store.ts";
import type { CodeStore } from "./code-store.ts";
import type { StoredCodeset } from "./repository.ts";

/** Recorded of one push at most; older commits of an imported history resolve all the same. */
const recordedCommits = 1000;

export type RegisteredCodeset = { readonly codeset: StoredCodeset /** Who may push. */; readonly user: ProjectUser };

/** Codesets: git repositories in projects. Each pushed commit is published as an artifact. */
export class CodesetService {
  private readonly parts: {
    store: Store;
    code: CodeStore;
    artifacts: ArtifactService;
    projects: ProjectService;
    clock: Clock;
  };
  private readonly publishing = new Map<string, Promise<void>>();

  constructor(parts: CodesetService["parts"]) {
    this.parts = parts;
  }

  /** The project is made when it does not exist, as upstream does. @throws `codeset.exists`, `request.invalid` */
  async register(codeset: {
    project: string;
    name: string;
    description: string;
    labels: readonly string[];
  }): Promise<RegisteredCodeset> {
    for (const [field, value] of [
      ["name", codeset.name],
      ["project", codeset.project],
    ] as const) {
      if (!namePattern.test(value)) {
        throw failure(
          "request.invalid",
          { message: `"${value}" is not a valid ${field}`, hint: "use letters, digits, - and _" },
          { field },
        );
      }
    }
    const { store, code, projects, clock } = this.parts;
    const stored = { ...codeset, created: instant(clock) };
    const taken = () => failure("codeset.exists", { name: `${codeset.project}/${codeset.name}` });
    if (await store.read.codesets.get(codeset.project, codeset.name)) throw taken();
    try {
      await code.create(codeset.project, codeset.name);
      await store.transaction(async (unit) => {
        await unit.projects.add({ name: codeset.project, description: "", created: stored.created, parallelism: null });
        if (!(await unit.codesets.add(stored))) throw taken();
      });
    } catch (error) {
      // no repository without its record
      if (!(await store.read.codesets.get(codeset.project, codeset.name)))
        await code.remove(codeset.project, codeset.name);
      throw error;
    }
    return { codeset: stored, user: await projects.ensureUser(codeset.project) };
  }

  list(filter: { project?: string | undefined; label?: string | undefined }): Promise<StoredCodeset[]> {
    return this.parts.store.read.codesets.list(filter);
  }

  /** @throws `codeset.not-found` */
  async get(project: string, name: string): Promise<StoredCodeset> {
    const codeset = await this.parts.store.read.codesets.get(project, name);
    if (!codeset) throw failure("codeset.not-found", { name: `${project}/${name}` });
    return codeset;
  }

  /** The newest commit of the default branch, once something was pushed. */
  async head(project: string, name: string): Promise<ArtifactAddress | undefined> {
    return (await headOf(this.parts.store.read, project, name))?.address;
  }

  /** The user as whom one pushes to the codeset. @throws `codeset.not-found` */
  async pusher(project: string, name: string): Promise<ProjectUser> {
    await this.get(project, name);
    return this.parts.projects.ensureUser(project);
  }

  /** Removes the codeset, its assignments and its repository. @throws `codeset.not-found` */
  async remove(project: string, name: string): Promise<void> {
    await this.get(project, name);
    const { store, code } = this.parts;
    await store.transaction(async (unit) => {
      const binding = `code://${project}/${name}`;
      for (const assignment of await unit.assignments.list({})) {
        if (Object.values(assignment.bindings).includes(binding)) await unit.assignments.remove(assignment.id);
      }
      await unit.artifacts.removeOf("code", project, name);
      await unit.codesets.remove(project, name);
    });
    await code.remove(project, name);
  }

  /** The address of a commit, branch or tag, or of the default branch's head. @throws `codeset.not-found`, `codeset.ref-not-found`, `codeset.empty` */
  async resolve(project: string, name: string, ref?: string): Promise<ArtifactAddress> {
    await this.get(project, name);
    const commit = await this.parts.code.resolve(project, name, ref);
    if (!commit) throw failure("codeset.ref-not-found", { codeset: `${project}/${name}`, ref: ref ?? "HEAD" });
    if (ref === undefined && !(await headOf(this.parts.store.read, project, name)))
      throw failure("codeset.empty", { codeset: `${project}/${name}` });
    return { kind: "code", project, name, version: commit };
  }

  /**
   * Publishes what was pushed since the last time: every new commit becomes an artifact, and a new head of the default
   * branch starts what depends on it. Idempotent, so it also repairs a crash between a push and its publication.
   */
  publishPushed(project: string, name: string): Promise<void> {
    const key = `${project}/${name}`;
    const turn = (this.publishing.get(key) ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => this.publishNow(project, name));
    this.publishing.set(key, turn);
    return turn;
  }

  /** Publishes for all codesets what a crash left unpublished. */
  async recover(): Promise<void> {
    for (const { project, name } of await this.list({})) await this.publishPushed(project, name);
  }

  private async publishNow(project: string, name: string): Promise<void> {
    const { store, code, artifacts, clock } = this.parts;
    const codeset = await store.read.codesets.get(project, name);
    if (!codeset) return;
    const commits = await code.commits(project, name, recordedCommits);
    const head = await code.resolve(project, name);
    const before = await headOf(store.read, project, name);
    const known = new Set(
      (await store.read.artifacts.list({ kind: "code", project, name, limit: recordedCommits * 2 })).map(
        (of) => of.address.version,
      ),
    );
    const headMoved = head !== before?.address.version && commits.some(({ commit }) => commit === head);
    const fresh = commits.filter(({ commit }) => !known.has(commit));
    if (fresh.length === 0 && !headMoved) return;
    const changed =
      headMoved && before && head ? await code.changedPaths(project, name, before.address.version, head) : undefined;
    const artifactOf = ({ commit, ...about }: (typeof commits)[number]): Artifact => ({
      address: { kind: "code", project, name, version: commit },
      location: `git://${project}/${name}#${commit}`,
      digest: `sha1:${commit}`,
      labels: codeset.labels,
      metadata: about,
      runId: null,
      created: instant(clock),
    });
    await store.transaction(async (unit) => {
      for (const commit of fresh) await artifacts.record(unit, artifactOf(commit));
      const newest = headMoved ? commits.find(({ commit }) => commit === head) : undefined;
      if (!newest) return;
      const artifact = artifactOf(newest);
      // a branch that is set back has a head that was one before: what ran for it is not run again
      await unit.artifacts.tag(artifact.address, headTag);
      await artifacts.publish(unit, artifact, changed);
    });
  }
}
