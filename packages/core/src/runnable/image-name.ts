/** The whole name of an image, as registries know it: `python` is `docker.io/library/python:latest`. */
export function fullName(image: string): string {
  const [first = "", ...rest] = image.split("/");
  const hasHost = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  const path = hasHost ? image : `docker.io/${rest.length === 0 ? `library/${image}` : image}`;
  const last = path.split("/").at(-1) ?? "";
  return last.includes(":") || last.includes("@") ? path : `${path}:latest`;
}

/** `host:5000/a/b:tag` is at `host:5000`. */
export const registryOf = (image: string): string => fullName(image).split("/")[0] ?? "";

/** `host:5000/a/b:tag` without its tag or digest. */
export const repositoryOf = (name: string): string => name.replace(/@.*$/, "").replace(/:[^:/]*$/, "");

/** Whether a registry is on this machine: it is reached without TLS, as Docker does it. */
export const isLoopback = (registry: string): boolean =>
  /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?$/.test(registry);

/** What a client says that it understands when it asks a registry for an image. */
export const manifestTypes: readonly string[] = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];
