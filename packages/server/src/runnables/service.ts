import { createHash } from "node:crypto";
import { type ArtifactReference, formatAddress, parseReference } from "@fuseml/core/artifact/address";
import { FuseError, failure } from "@fuseml/core/errors";
import { type RunnableDescriptor, runnableDescriptor } from "@fuseml/core/runnable/descriptor";
import type { KnownRunnable } from "@fuseml/core/workflow/catalogue";
import type { Artifact } from "../artifacts/repository.ts";
import { type Clock, instant } from "../platform/clock.ts";
import type { Store } from "../state/store.ts";
import type { StoredRunnable } from "./repository.ts";

/** The project that registered runnables are addressed in: they belong to everybody. */
const everybody = "fuseml";

/** Descriptors of images that can be steps. */
export class RunnableService {
  private readonly parts: {
    store: Store;
    clock: Clock;
    /** Of an image that an agent knows; empty otherwise. */
    digestOf: (image: string) => Promise<string>;
  };

  constructor(parts: RunnableService["parts"]) {
    this.parts = parts;
  }

  /**
   * Registers a descriptor, in place of the one with this id, and as an artifact: its version is the digest of what it says,
   * so that a workflow that names it goes on meaning the same.
   */
  async register(body: RunnableDescriptor): Promise<StoredRunnable> {
    const { store, clock, digestOf } = this.parts;
    const { created: _given, ...descriptor } = body;
    const stored = { id: body.id, kind: body.kind, created: instant(clock), body: descriptor };
    const artifact: Artifact = {
      address: { kind: "runnable", project: everybody, name: body.id, version: versionOf(descriptor) },
      location: body.container.image,
      digest: await digestOf(body.container.image),
      labels: Object.entries(body.labels).map(([name, value]) => `${name}:${value}`),
      metadata: { kind: body.kind, descriptor },
      runId: null,
      created: stored.created,
    };
    await store.transaction(async (unit) => {
      await unit.runnables.save(stored);
      await unit.artifacts.add(artifact);
      await unit.artifacts.tag(artifact.address, registered);
    });
    return stored;
  }

  /** What a step means by `runnable://project/name[/version]`: without a version, the one registered or published last. */
  async find(reference: string): Promise<KnownRunnable | undefined> {
    const asked = readReference(reference);
    if (asked?.kind !== "runnable") return undefined;
    const { kind, project, name, version } = asked;
    const { artifacts } = this.parts.store.read;
    const found =
      version === undefined
        ? ((await artifacts.tagged(kind, project, name, registered)) ?? (await artifacts.newest(kind, project, name)))
        : await artifacts.get({ kind, project, name, version });
    if (!found) return undefined;
    const descriptor = runnableDescriptor.safeParse(found.metadata.descriptor);
    return {
      address: formatAddress(found.address),
      image: found.location,
      ...(descriptor.success ? { descriptor: descriptor.data } : {}),
    };
  }

  /** @throws `runnable.not-found` */
  async get(id: string): Promise<StoredRunnable> {
    const runnable = await this.parts.store.read.runnables.get(id);
    if (!runnable) throw failure("runnable.not-found", { name: id });
    return runnable;
  }

  /** `id` and `kind` are regular expressions over the whole text, as upstream has it. @throws `request.invalid` */
  async list(filter: {
    id?: string | undefined;
    kind?: string | undefined;
    labels?: Readonly<Record<string, string>>;
  }): Promise<StoredRunnable[]> {
    const matches = (pattern: string | undefined, text: string): boolean => {
      if (!pattern) return true;
      try {
        return new RegExp(`^(?:${pattern})$`).test(text);
      } catch (error) {
        throw failure("request.invalid", { message: `"${pattern}" is not a regular expression` }, { cause: error });
      }
    };
    const all = await this.parts.store.read.runnables.list();
    return all.filter((runnable) => {
      const labels = (runnable.body.labels ?? {}) as Record<string, unknown>;
      return (
        matches(filter.id, runnable.id) &&
        matches(filter.kind, runnable.kind) &&
        Object.entries(filter.labels ?? {}).every(
          ([name, pattern]) => name in labels && matches(pattern, String(labels[name])),
        )
      );
    });
  }
}

/** Nothing for what is no address. */
function readReference(text: string): ArtifactReference | undefined {
  try {
    return parseReference(text);
  } catch (error) {
    if (error instanceof FuseError) return undefined;
    throw error;
  }
}

/** The tag of the version that was registered last, also when an earlier one was registered again. */
const registered = "registered";

const versionOf = (descriptor: object): string =>
  createHash("sha256").update(JSON.stringify(descriptor)).digest("hex").slice(0, 12);
