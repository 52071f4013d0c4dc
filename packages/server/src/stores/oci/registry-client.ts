import { failure } from "@fuseml/core/errors";
import { manifestTypes } from "@fuseml/core/runnable/image-name";
import type { StoredImage } from "../../registry/image-registry.ts";

/** Speaks the OCI distribution protocol (version 2) with a registry without TLS on this machine. */
export class RegistryClient {
  readonly address: string;

  /** @param address host and port */
  constructor(address: string) {
    this.address = address;
  }

  private async ask(path: string, init: RequestInit = {}): Promise<Response> {
    try {
      return await fetch(`http://${this.address}/v2/${path}`, init);
    } catch (error) {
      const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
      throw failure("registry.unreachable", { address: this.address, reason }, { cause: error });
    }
  }

  /** All pages of a list. */
  private async pages<T>(first: string, pick: (body: unknown) => readonly T[] | null): Promise<T[]> {
    const all: T[] = [];
    for (let path: string | undefined = first; path !== undefined; ) {
      const response = await this.ask(path);
      if (response.status === 404) return all;
      all.push(...(pick(await response.json()) ?? []));
      path = /<\/v2\/([^>]+)>; rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
    }
    return all;
  }

  async images(): Promise<readonly StoredImage[]> {
    const images: StoredImage[] = [];
    for (const repository of await this.pages(
      "_catalog?n=100",
      (body) => (body as { repositories: string[] }).repositories,
    )) {
      const tags = await this.pages(`${repository}/tags/list`, (body) => (body as { tags: string[] | null }).tags);
      for (const tag of tags) {
        const digest = await this.digestOf(repository, tag);
        if (digest) images.push({ repository, tag, digest });
      }
    }
    return images;
  }

  async digestOf(repository: string, reference: string): Promise<string | undefined> {
    const response = await this.ask(`${repository}/manifests/${reference}`, {
      method: "HEAD",
      headers: { accept: manifestTypes.join(", ") },
    });
    if (!response.ok) return undefined;
    return response.headers.get("docker-content-digest") ?? undefined;
  }

  async remove({ repository, digest }: Pick<StoredImage, "repository" | "digest">): Promise<void> {
    const response = await this.ask(`${repository}/manifests/${digest}`, { method: "DELETE" });
    if (!response.ok && response.status !== 404)
      throw failure("registry.unreachable", { address: this.address, reason: `it answered ${response.status}` });
  }
}
