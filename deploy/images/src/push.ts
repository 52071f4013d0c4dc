import { Readable } from "node:stream";
import { failure } from "@fuseml/core/errors";
import { isLoopback } from "@fuseml/core/runnable/image-name";
import type { Image } from "./image.ts";
import { readLayer } from "./layer.ts";

/** Where images go. @property login `user:password`, when the registry asks for one */
export type Target = { readonly registry: string; readonly login?: string };

type Body = NonNullable<RequestInit["body"]>;

/** Pushes an image; what the registry has already is not sent again. The tag appears last: it never points to half an image. */
export async function pushImage(
  image: Image,
  name: { readonly repository: string; readonly tag: string },
  { registry, login }: Target,
): Promise<void> {
  const base = `${isLoopback(registry) ? "http" : "https"}://${registry}`;
  const ask = async (method: string, path: string, init: RequestInit = {}): Promise<Response> => {
    const authorization = login ? { authorization: `Basic ${Buffer.from(login).toString("base64")}` } : {};
    try {
      return await fetch(new URL(path, base), { ...init, method, headers: { ...init.headers, ...authorization } });
    } catch (error) {
      const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
      throw failure("registry.unreachable", { address: registry, reason }, { cause: error });
    }
  };
  const expect = async (response: Response, what: string): Promise<Response> => {
    if (response.ok) return response;
    const words = (await response.text()).slice(0, 200);
    throw failure("registry.unreachable", {
      address: registry,
      reason: `${what} was answered ${response.status} ${words}`,
    });
  };
  const blobs = [
    ...image.layers.map((layer) => ({ ...layer, body: () => Readable.toWeb(readLayer(layer)) as Body })),
    { ...image.config, body: () => image.config.bytes as unknown as Body },
  ];
  for (const { digest, size, body } of blobs) {
    if ((await ask("HEAD", `/v2/${name.repository}/blobs/${digest}`)).ok) continue;
    const begun = await expect(await ask("POST", `/v2/${name.repository}/blobs/uploads/`), "an upload");
    const location = new URL(begun.headers.get("location") ?? "", base);
    location.searchParams.set("digest", digest);
    const sent = await ask("PUT", location.href, {
      body: body(),
      headers: { "content-type": "application/octet-stream", "content-length": String(size) },
      duplex: "half",
    } as RequestInit);
    await expect(sent, `the layer ${digest}`);
  }
  const { manifest } = image;
  const put = await ask("PUT", `/v2/${name.repository}/manifests/${name.tag}`, {
    body: manifest.bytes as unknown as Body,
    headers: { "content-type": manifest.mediaType },
  });
  await expect(put, "the manifest");
}
