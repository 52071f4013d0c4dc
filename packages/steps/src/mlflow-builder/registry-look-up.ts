import { isLoopback, manifestTypes } from "@fuseml/core/runnable/image-name";

/** The digest of an image in a registry; nothing when it is not there, or the registry does not tell. */
export async function findImage(registry: string, repository: string, tag: string): Promise<string | undefined> {
  try {
    const response = await fetch(
      `${isLoopback(registry) ? "http" : "https"}://${registry}/v2/${repository}/manifests/${tag}`,
      {
        method: "HEAD",
        headers: { accept: manifestTypes.join(", ") },
        signal: AbortSignal.timeout(10_000),
      },
    );
    return response.ok ? (response.headers.get("docker-content-digest") ?? "unknown") : undefined;
  } catch {
    // it is built then, and the push tells what is wrong with the registry
    return undefined;
  }
}
