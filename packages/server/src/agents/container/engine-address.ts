import { existsSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";

/** A container engine that answers. */
export type ConnectedEngine = {
  readonly docker: Docker;
  readonly kind: "docker" | "podman";
  /** For people: `Podman Engine 4.3.1 at unix:///run/podman/podman.sock`. */
  readonly title: string;
  readonly address: string;
  /** As images name it: amd64, arm64. */
  readonly architecture: string;
  readonly processors: number;
  readonly memoryBytes: number;
};

const askWithinMs = 10_000;

/** Where an engine may answer: what the environment says, else the sockets that Docker and Podman use. */
export function engineAddresses(env: NodeJS.ProcessEnv): readonly string[] {
  const given = env.FUSEML_CONTAINER_ENGINE || env.DOCKER_HOST || env.CONTAINER_HOST;
  if (given) return [given];
  const sockets = [
    "/var/run/docker.sock",
    "/run/podman/podman.sock",
    ...(env.XDG_RUNTIME_DIR
      ? ["docker.sock", "podman/podman.sock"].map((at) => join(env.XDG_RUNTIME_DIR ?? "", at))
      : []),
    ...(env.HOME ? [join(env.HOME, ".docker/run/docker.sock")] : []),
  ];
  return sockets.filter((path) => existsSync(path)).map((path) => `unix://${path}`);
}

/** The path of the socket in an address, when it is one. */
export const socketPath = (address: string): string | undefined =>
  address.startsWith("unix://") ? address.slice("unix://".length) : undefined;

function open(address: string, timeout?: number): Docker {
  const path = socketPath(address);
  if (path) return new Docker({ socketPath: path, ...(timeout ? { timeout } : {}) });
  const url = new URL(address.replace(/^tcp:/, "http:"));
  const protocol = url.protocol === "https:" ? "https" : "http";
  return new Docker({ protocol, host: url.hostname, port: url.port || 2375, ...(timeout ? { timeout } : {}) });
}

/** Asks the engine who it is. @throws when nothing answers there */
export async function connectEngine(address: string): Promise<ConnectedEngine> {
  const hurried = open(address, askWithinMs);
  const version = (await hurried.version()) as Docker.DockerVersion & { Components?: { Name: string }[] };
  const info = (await hurried.info()) as { NCPU?: number; MemTotal?: number };
  const component = version.Components?.[0]?.Name ?? "Docker Engine";
  return {
    docker: open(address),
    kind: /podman/i.test(component) ? "podman" : "docker",
    title: `${component} ${version.Version} at ${address}`,
    address,
    architecture: version.Arch,
    processors: info.NCPU ?? 1,
    memoryBytes: info.MemTotal ?? 0,
  };
}

/** The first engine that answers, with the reasons of those that did not. */
export async function findEngine(
  env: NodeJS.ProcessEnv,
): Promise<{ engine: ConnectedEngine | undefined; silent: readonly string[] }> {
  const silent: string[] = [];
  for (const address of engineAddresses(env)) {
    try {
      return { engine: await connectEngine(address), silent };
    } catch (error) {
      silent.push(`${address}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { engine: undefined, silent };
}
