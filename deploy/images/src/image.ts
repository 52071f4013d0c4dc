import { createHash } from "node:crypto";
import type { Layer } from "./layer.ts";

/** What an image runs, and as whom. */
export type Running = {
  readonly entrypoint: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly workingDirectory: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The processor that it is made for; default this machine's. */
  readonly architecture?: string;
};

export type Blob = { readonly digest: string; readonly size: number; readonly bytes: Buffer };

/** An image as a registry takes it: a manifest that names a configuration and layers. */
export type Image = {
  readonly manifest: Blob & { readonly mediaType: string };
  readonly config: Blob;
  readonly layers: readonly Layer[];
};

const manifestType = "application/vnd.oci.image.manifest.v1+json";

/** Go's names of processors, which images use. */
export const architecture =
  ({ x64: "amd64", arm64: "arm64" } as Readonly<Record<string, string>>)[process.arch] ?? process.arch;

const blob = (value: unknown): Blob => {
  const bytes = Buffer.from(JSON.stringify(value));
  return { bytes, size: bytes.length, digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}` };
};

/** Puts an image together. It has no time of its own: the same layers and the same words give the same digest. */
export function assemble(layers: readonly Layer[], running: Running): Image {
  const config = blob({
    architecture: running.architecture ?? architecture,
    os: "linux",
    created: "1970-01-01T00:00:00Z",
    config: {
      User: running.user,
      Env: Object.entries(running.env).map(([name, value]) => `${name}=${value}`),
      Entrypoint: running.entrypoint,
      WorkingDir: running.workingDirectory,
      Labels: running.labels,
    },
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map(() => ({ created: "1970-01-01T00:00:00Z", created_by: "fuseml images" })),
  });
  const manifest = blob({
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: config.digest, size: config.size },
    layers: layers.map(({ digest, size }) => ({
      mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
      digest,
      size,
    })),
  });
  return { manifest: { ...manifest, mediaType: manifestType }, config, layers };
}
