/** A registry for tests, and a line to it that can be cut. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@fuseml/server/platform/processes/ports";
import { answers } from "@fuseml/server/platform/processes/supervisor";
import { until } from "../support/fuseml.ts";

export type TestRegistry = { readonly address: string; stop(): Promise<void> };

/** Name and password of the registry that asks for a login. */
export const login = { name: "tester", password: "open sesame" };
/** The password, as bcrypt has it. */
const htpasswd = `${login.name}:$2y$04$3K98euBIr2ru.DQf/qKKp.R0I85gGpNXdlOT3Azl4qpg/4lzNwgHm\n`;

/** The distribution project's registry on a free port. @param asks whether it asks for a login */
export async function startRegistry({ asks = false } = {}): Promise<TestRegistry> {
  const directory = mkdtempSync(join(tmpdir(), "fuseml-registry-"));
  const address = `127.0.0.1:${await freePort()}`;
  mkdirSync(join(directory, "contents"));
  writeFileSync(join(directory, "htpasswd"), htpasswd);
  const configuration = {
    version: "0.1",
    log: { level: "error", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, "contents") }, delete: { enabled: true } },
    http: { addr: address },
    ...(asks ? { auth: { htpasswd: { realm: "test", path: join(directory, "htpasswd") } } } : {}),
  };
  writeFileSync(join(directory, "config.yml"), JSON.stringify(configuration));
  const child = spawn("docker-registry", ["serve", join(directory, "config.yml")], { stdio: "ignore" });
  await until("the registry answers", () => answers(`http://${address}/v2/`));
  return {
    address,
    stop: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A line to a registry that breaks after so many bytes were sent to it, and stays broken. */
export async function breakingLine(to: string, afterBytes: number): Promise<TestRegistry> {
  const [host = "", port = ""] = to.split(":");
  let sent = 0;
  const sockets = new Set<Socket>();
  const server = createServer((inbound) => {
    if (sent > afterBytes) return void inbound.destroy();
    const outbound = connect(Number(port), host);
    for (const socket of [inbound, outbound]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        inbound.destroy();
        outbound.destroy();
      });
    }
    inbound.on("data", (chunk) => {
      sent += chunk.length;
      if (sent > afterBytes) for (const socket of sockets) socket.destroy();
      else outbound.write(chunk);
    });
    outbound.pipe(inbound);
  });
  const own = await freePort();
  await new Promise<void>((resolve) => server.listen(own, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${own}`,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
