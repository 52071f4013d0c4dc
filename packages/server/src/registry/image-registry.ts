/** An image in a registry: where a tag points to. */
export type StoredImage = {
  /** Without the registry's host. */
  readonly repository: string;
  readonly tag: string;
  /** `sha256:…`, of the manifest. */
  readonly digest: string;
};

/** A registry of OCI images, as far as FuseML manages it. */
export interface ImageRegistry {
  /** `127.0.0.1:30500`: how engines and steps of this machine reach it, and how names of its images begin. */
  readonly address: string;
  images(): Promise<readonly StoredImage[]>;
  /** What a name in this registry points to; nothing when it is not there. @param reference a tag or a digest */
  digestOf(repository: string, reference: string): Promise<string | undefined>;
  /** Takes a manifest away, with all its tags. Its layers go with `collect`. */
  remove(image: Pick<StoredImage, "repository" | "digest">): Promise<void>;
  /** Frees the layers that no manifest needs; pushes meanwhile have to be tried again. @returns bytes freed */
  collect(): Promise<number>;
}
