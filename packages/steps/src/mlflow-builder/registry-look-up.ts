/** A registry of this machine is reached without TLS, as container engines do it. */
export const isPlain = (registry: string): boolean => /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?$/.test(registry);

const manifests = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
].join(", ");

/** The digest of an image in a registry; nothing when it is not there, or the registry does not tell. */
export async function findImage(registry: string, repository: string, tag: string): Promise<string | undefined> {
  try {
    const response = await fetch(
      `${isPlain(registry) ? "http" : "https"}://${registry}/v2/${repository}/manifests/${tag}`,
      {
        method: "HEAD",
        headers: { accept: manifests },
        signal: AbortSignal.timeout(10_000),
      },
    );
    return response.ok ? (response.headers.get("docker-content-digest") ?? "unknown") : undefined;
  } catch {
    // it is built then, and the push tells what is wrong with the registry
    return undefined;
  }
}
