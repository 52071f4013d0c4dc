import { failure } from "@fuseml/core/errors";
import type { Store } from "../state/store.ts";
import type { ImageRegistry, StoredImage } from "./image-registry.ts";

/** What a collection took away, or would. */
export type Collection = {
  readonly removed: readonly StoredImage[];
  readonly kept: number;
  readonly freedBytes: number;
};

/** The images that FuseML keeps, and which of them anything still needs. */
export class RegistryService {
  private readonly parts: {
    readonly store: Store;
    readonly registry: ImageRegistry | undefined;
    /** Repositories that stay whatever refers to them: FuseML's own images and bases. */
    readonly own: string;
  };

  constructor(parts: RegistryService["parts"]) {
    this.parts = parts;
  }

  private get registry(): ImageRegistry {
    if (!this.parts.registry) throw failure("registry.none", {});
    return this.parts.registry;
  }

  /** @throws `registry.none` */
  async list(): Promise<{ address: string; images: readonly (StoredImage & { used: boolean })[] }> {
    const { registry } = this;
    const [images, used] = await Promise.all([registry.images(), this.used()]);
    return { address: registry.address, images: images.map((image) => ({ ...image, used: used(image) })) };
  }

  /** Removes images that no run, runnable or application refers to any more. @throws `registry.none` */
  async collect({ dryRun }: { dryRun: boolean }): Promise<Collection> {
    const { registry } = this;
    const [images, used] = await Promise.all([registry.images(), this.used()]);
    // a manifest goes with all its tags: it stays while one of them is used
    const usedDigests = new Set(images.filter(used).map(({ repository, digest }) => `${repository}@${digest}`));
    const removed = images.filter(({ repository, digest }) => !usedDigests.has(`${repository}@${digest}`));
    const report = { removed, kept: images.length - removed.length };
    if (dryRun || removed.length === 0) return { ...report, freedBytes: 0 };
    const manifests = new Map(removed.map((image) => [`${image.repository}@${image.digest}`, image]));
    for (const image of manifests.values()) await registry.remove(image);
    return { ...report, freedBytes: await registry.collect() };
  }

  private async used(): Promise<(image: StoredImage) => boolean> {
    const { store, own } = this.parts;
    const { address } = this.registry;
    const texts = [
      ...(await store.read.runs.statesMentioning(`${address}/`)),
      ...(await store.read.runnables.list()).map(({ body }) => JSON.stringify(body)),
    ];
    const names = new Set(texts.flatMap((text) => namesIn(text, address)));
    return ({ repository, tag, digest }) =>
      repository.startsWith(own) || names.has(`${repository}:${tag}`) || names.has(`${repository}@${digest}`);
  }
}

/** Names of images of a registry in a text, without its host. */
export function namesIn(text: string, address: string): readonly string[] {
  const host = address.replaceAll(".", "\\.");
  const pattern = new RegExp(`${host}/([a-z0-9._/-]+(?::[A-Za-z0-9_.-]+|@sha256:[0-9a-f]{64}))`, "g");
  return [...text.matchAll(pattern)].map(([, name = ""]) => name);
}
