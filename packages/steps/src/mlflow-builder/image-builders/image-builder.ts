/** One image to be built and pushed. */
export type ImageBuild = {
  /** Holds all that the build reads. */
  readonly context: string;
  /** The file in the context that says how. */
  readonly file: string;
  /** Where it is pushed to: `registry/repository:tag`. */
  readonly name: string;
  /** Not kept in the image. They may hold secrets. */
  readonly args: Readonly<Record<string, string>>;
  readonly compressedCaching: boolean;
  /** Whether the registry is reached without TLS. */
  readonly insecure: boolean;
  readonly say: (line: string) => void;
};

/** Builds images and pushes them: with a container engine, in a cluster, with a tool. */
export interface ImageBuilder {
  /** For people. */
  readonly name: string;
  /** The tag is there when this returns, and not before. @throws StepError with the tool's own words */
  buildAndPush(build: ImageBuild): Promise<void>;
}
