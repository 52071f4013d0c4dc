/** Container engines for tests, each with storage of its own: nothing of the machine's containers is touched. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createReadStream, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { onPath } from "@fuseml/environments/uv";
import { shellImage } from "@fuseml/server/agents/container/test-engines.fixture";
import Docker from "dockerode";
import { until } from "../support/fuseml.ts";

const execute = promisify(execFile);

export type StartedEngine = { readonly address: string; stop(): Promise<void> };

/** What the distribution provides, by the program that shows that it is there. */
const packages: Readonly<Record<string, readonly string[]>> = {
  podman: ["podman", "runc", "catatonit"],
  dockerd: ["docker.io"],
  buildah: ["buildah"],
  "docker-registry": ["docker-registry"],
  mmdebstrap: ["mmdebstrap"],
};

/** Installs what is missing from the distribution's packages. */
export async function installMissing(say: (line: string) => void): Promise<void> {
  const path = `${process.env.PATH}:/usr/sbin:/sbin`;
  const missing = Object.entries(packages).filter(([program]) => onPath(program, path) === undefined);
  if (missing.length === 0) return;
  const names = missing.flatMap(([, list]) => list);
  say(`installing ${names.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await execute("apt-get", ["update", "-qq"], { env });
  await execute("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...names], {
    env,
    maxBuffer: 64 * 1024 * 1024,
  });
}

/** Starts an engine with its storage in `directory`, and gives it the image that tests run. @param base a layer */
export const engineStarters: Readonly<Record<string, (directory: string, base: string) => Promise<StartedEngine>>> = {
  podman: (directory, base) => start(podman(directory), directory, base),
  docker: (directory, base) => start(dockerd(directory), directory, base),
};

type Command = { readonly command: string; readonly args: readonly string[]; readonly env: Record<string, string> };

/** Without a network of its own and without a hand on the machine's firewall. */
export const dockerd = (directory: string, data = join(directory, "data")): Command => ({
  command: "dockerd",
  args: [
    ["--host", `unix://${join(directory, "engine.sock")}`],
    ["--data-root", data],
    ["--exec-root", join(directory, "exec")],
    ["--pidfile", join(directory, "pid")],
    ["--bridge", "none"],
    ["--iptables=false", "--ip-masq=false"],
  ].flat(),
  env: {},
});

/** Names the runtime and the limits that work where the machine's own limits are low. */
function containersConfiguration(directory: string): { CONTAINERS_CONF: string } {
  const file = join(directory, "containers.conf");
  mkdirSync(directory, { recursive: true });
  writeFileSync(
    file,
    '[containers]\ndefault_ulimits=["nofile=1024:1024","nproc=4096:4096"]\n[engine]\nruntime="runc"\n',
  );
  return { CONTAINERS_CONF: file };
}

const podman = (directory: string): Command => {
  const env = containersConfiguration(directory);
  return {
    command: "podman",
    args: [
      ["--root", join(directory, "data")],
      ["--runroot", join(directory, "run")],
      ["system", "service", "--time=0", `unix://${join(directory, "engine.sock")}`],
    ].flat(),
    env,
  };
};

/** Starts an engine and waits until it answers. */
export async function start(of: Command, directory: string, base?: string): Promise<StartedEngine> {
  mkdirSync(directory, { recursive: true });
  const logFile = join(directory, "log");
  const log = openSync(logFile, "a");
  const child = spawn(of.command, [...of.args], {
    stdio: ["ignore", log, log],
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, ...of.env },
  });
  const socketPath = join(directory, "engine.sock");
  const docker = new Docker({ socketPath });
  try {
    await until(`${of.command} answers`, async () => {
      if (child.exitCode !== null)
        throw new Error(`${of.command} ended: ${readFileSync(logFile, "utf8").slice(-2000)}`);
      try {
        await docker.ping();
        return true;
      } catch {
        // not listening yet
        return false;
      }
    });
    if (base) await provideShell(docker, base);
  } catch (error) {
    await stop(child, directory);
    throw error;
  }
  return { address: `unix://${socketPath}`, stop: () => stop(child, directory) };
}

/** Storage of its own for Buildah, with a base image in it; the variables that make it use that. @param base a layer */
export async function provideBuildah(
  directory: string,
  base: string,
): Promise<{ env: Record<string, string>; stop(): Promise<void> }> {
  const limits = containersConfiguration(directory);
  const name = "localhost/fuseml-test/base:1";
  const storage = join(directory, "storage.conf");
  writeFileSync(
    storage,
    `[storage]\ndriver = "overlay"\ngraphroot = "${join(directory, "data")}"\nrunroot = "${join(directory, "run")}"\n`,
  );
  const env = { ...limits, CONTAINERS_STORAGE_CONF: storage, BUILDAH_ISOLATION: "chroot" };
  const options = { env: { ...process.env, ...env } };
  const container = (await execute("buildah", ["from", "scratch"], options)).stdout.trim();
  await execute("buildah", ["add", "--quiet", container, base, "/"], options);
  await execute("buildah", ["commit", "--quiet", container, name], options);
  await execute("buildah", ["rm", container], options);
  return {
    env: { ...env, FUSEML_TEST_BUILDAH: name },
    stop: async () => {
      await execute("buildah", ["rm", "--all"], options);
      await letGo(directory);
    },
  };
}

async function provideShell(docker: Docker, base: string): Promise<void> {
  const [repo = "", tag = ""] = shellImage.split(":");
  const imported = await docker.importImage(createReadStream(base) as unknown as string, {
    changes: ['ENTRYPOINT ["sh","-c","eval \\"$SCRIPT\\""]'],
  });
  const words = await new Promise<{ status?: string }[]>((resolve, reject) =>
    docker.modem.followProgress(imported, (error, all: { status?: string }[]) =>
      error ? reject(error) : resolve(all),
    ),
  );
  // podman knows no tag here: it is named afterwards
  const id = words.map(({ status }) => /^sha256:[0-9a-f]{64}$/.exec(status ?? "")?.[0]).find(Boolean);
  await docker.getImage(id ?? "").tag({ repo, tag });
}

async function stop(child: ChildProcess, directory: string): Promise<void> {
  if (child.exitCode === null) {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  }
  await letGo(directory);
}

/** Removes storage; file systems that were mounted in it for containers are let go first. */
async function letGo(directory: string): Promise<void> {
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${directory}/`));
  for (const path of mounts.reverse()) await execute("umount", ["-l", path]);
  rmSync(directory, { recursive: true, force: true });
}
