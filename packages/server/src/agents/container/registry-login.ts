import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { registryOf } from "@fuseml/core/runnable/image-name";

/** What a registry asks for, as the Docker Engine API takes it. */
export type RegistryLogin = { readonly username: string; readonly password: string; readonly serveraddress: string };

type AuthFile = { readonly auths?: Readonly<Record<string, { readonly auth?: string }>> };

/** Where `docker login` and `podman login` leave what they were told. */
export function loginFiles(env: NodeJS.ProcessEnv): readonly string[] {
  return [
    env.REGISTRY_AUTH_FILE,
    env.DOCKER_CONFIG && join(env.DOCKER_CONFIG, "config.json"),
    env.XDG_RUNTIME_DIR && join(env.XDG_RUNTIME_DIR, "containers", "auth.json"),
    env.HOME && join(env.HOME, ".docker", "config.json"),
  ].filter((file): file is string => Boolean(file));
}

const keysOf = (registry: string): readonly string[] =>
  registry === "docker.io" ? ["docker.io", "index.docker.io", "https://index.docker.io/v1/"] : [registry];

/** The login for the registry of an image, from the first file that has one. Files are read each time: logins change. */
export function loginFor(image: string, files: readonly string[]): RegistryLogin | undefined {
  const registry = registryOf(image);
  for (const file of files.filter(existsSync)) {
    const { auths = {} } = JSON.parse(readFileSync(file, "utf8")) as AuthFile;
    for (const key of keysOf(registry)) {
      const { auth } = auths[key] ?? auths[`https://${key}`] ?? {};
      if (!auth) continue;
      const [username = "", ...password] = Buffer.from(auth, "base64").toString("utf8").split(":");
      return { username, password: password.join(":"), serveraddress: registry };
    }
  }
  return undefined;
}
