import { randomBytes, timingSafeEqual } from "node:crypto";
import { namePattern } from "@fuseml/core/artifact/address";
import { failure } from "@fuseml/core/errors";
import { type Clock, instant } from "../platform/clock.ts";
import type { Cipher } from "../platform/secrets/cipher.ts";
import type { Store } from "../state/store.ts";
import type { StoredProject } from "./repository.ts";

/** A user of a project's git repositories. */
export type ProjectUser = { readonly name: string; readonly email: string; readonly password: string };
export type Project = StoredProject & { readonly users: readonly { readonly name: string; readonly email: string }[] };

/** Projects, and the users that push to their codesets. */
export class ProjectService {
  private readonly parts: { store: Store; clock: Clock; cipher: Cipher };

  constructor(parts: ProjectService["parts"]) {
    this.parts = parts;
  }

  /** @throws `project.exists`, `request.invalid` */
  async create(name: string, description: string): Promise<Project> {
    if (!namePattern.test(name)) {
      throw failure(
        "request.invalid",
        { message: `"${name}" is not a valid project name`, hint: "use letters, digits, - and _" },
        { field: "name" },
      );
    }
    const { store, clock } = this.parts;
    const project = { name, description, created: instant(clock), parallelism: null };
    if (!(await store.transaction((unit) => unit.projects.add(project)))) throw failure("project.exists", { name });
    return { ...project, users: [] };
  }

  /** How many steps of the project's runs may run at once; null for no limit. @throws `project.not-found` */
  async limit(name: string, parallelism: number | null): Promise<Project> {
    if (!(await this.parts.store.transaction((unit) => unit.projects.limit(name, parallelism))))
      throw failure("project.not-found", { name });
    return this.get(name);
  }

  async list(): Promise<Project[]> {
    const { read } = this.parts.store;
    const users = await read.projects.users();
    return (await read.projects.list()).map((project) => ({
      ...project,
      users: users.filter((user) => user.project === project.name).map(({ name, email }) => ({ name, email })),
    }));
  }

  /** @throws `project.not-found` */
  async get(name: string): Promise<Project> {
    const project = (await this.list()).find((candidate) => candidate.name === name);
    if (!project) throw failure("project.not-found", { name });
    return project;
  }

  /** @throws `project.not-found`, `project.not-empty` */
  async remove(name: string): Promise<void> {
    await this.parts.store.transaction(async (unit) => {
      const codesets = await unit.codesets.list({ project: name });
      if (codesets.length > 0)
        throw failure("project.not-empty", { name, codesets: codesets.map((codeset) => codeset.name).join(", ") });
      if (!(await unit.projects.remove(name))) throw failure("project.not-found", { name });
    });
  }

  /** The project's git user `fuseml-<project>`, made with a random password when it is not there. */
  async ensureUser(project: string): Promise<ProjectUser> {
    const { store, cipher } = this.parts;
    const name = `fuseml-${project}`;
    const fresh = {
      project,
      name,
      email: `${name}@fuseml.local`,
      password: cipher.seal(randomBytes(18).toString("base64url")),
    };
    await store.transaction((unit) => unit.projects.addUser(fresh));
    const stored = (await store.read.projects.users(project)).find((user) => user.name === name) ?? fresh;
    return { name, email: stored.email, password: cipher.open(stored.password) };
  }

  /** Whether these are the name and password of a user of the project. */
  async isUser(project: string, name: string, password: string): Promise<boolean> {
    const user = (await this.parts.store.read.projects.users(project)).find((candidate) => candidate.name === name);
    if (!user) return false;
    const expected = Buffer.from(this.parts.cipher.open(user.password));
    const given = Buffer.from(password);
    return expected.length === given.length && timingSafeEqual(expected, given);
  }
}
