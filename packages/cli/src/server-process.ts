import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statfsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { FuseError, failure } from "@fuseml/core/errors";

/** What a running server wrote into its data directory. */
export type RunningServer = { readonly pid: number; readonly url: string };

const startWithinMs = 30_000;
const stopWithinMs = 60_000;
/** With less than this the server cannot even say in its log why it ended. */
const leastFreeBytes = 256 * 1024;

export const dataDirectory = (env: NodeJS.ProcessEnv): string =>
  env.FUSEML_DATA_DIR || join(env.XDG_DATA_HOME || join(env.HOME || homedir(), ".local", "share"), "fuseml");

export const serverLog = (directory: string): string => join(directory, "server.log");

/** The server of a data directory, when it is alive. */
export function runningServer(directory: string): RunningServer | undefined {
  const file = join(directory, "server.json");
  if (!existsSync(file)) return undefined;
  const record = JSON.parse(readFileSync(file, "utf8")) as RunningServer;
  return isAlive(record.pid) ? record : undefined;
}

/** Starts the server of a data directory in the background, or finds it running; returns when it takes work. @throws its own words */
export async function startServer(env: NodeJS.ProcessEnv): Promise<{ server: RunningServer; started: boolean }> {
  const directory = dataDirectory(env);
  const present = runningServer(directory);
  if (present?.url) return { server: present, started: false };
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const logFile = serverLog(directory);
  const log = openSync(logFile, "w", 0o600);
  const program = fileURLToPath(new URL("../../server/src/main.ts", import.meta.url));
  const child = spawn(process.execPath, [program], { detached: true, stdio: ["ignore", log, log], env });
  closeSync(log);
  let ended: number | null | undefined;
  child.once("exit", (code) => {
    ended = code;
  });
  child.unref();
  const deadline = performance.now() + startWithinMs;
  while (performance.now() < deadline) {
    const server = runningServer(directory);
    if (server?.url && server.pid === child.pid && (await answersAt(server.url))) return { server, started: true };
    if (ended !== undefined) throw startFailure(logFile, ended);
    await pause(50);
  }
  throw failure("server.unreachable", {
    url: directory,
    reason: `it was not ready within ${startWithinMs / 1000} s; its log: ${logFile}`,
  });
}

/** The server's last words as the error that they tell of. */
function startFailure(logFile: string, exitCode: number | null): FuseError {
  const words = readFileSync(logFile, "utf8").trim().split("\n");
  const code = /^\[(.+)\]$/.exec(words.at(-1) ?? "")?.[1];
  const { bavail, bsize } = statfsSync(dirname(logFile));
  if (bavail * bsize < leastFreeBytes) return failure("disk.full", { where: dirname(logFile) });
  const plain = words.filter((line) => !line.startsWith("{"));
  if (code)
    return new FuseError({
      code,
      status: 500,
      exit: exitCode ?? 1,
      message: plain[0] ?? "",
      hint: plain.slice(1, -1).join("\n") || undefined,
    });
  return new FuseError({
    code: "internal",
    status: 500,
    exit: 1,
    message: `the server ended while it started:\n${words.slice(-15).join("\n")}`,
    hint: `its log: ${logFile}`,
  });
}

/** Whether a server there takes work. */
export async function answersAt(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2000) });
    return answer.ok && ((await answer.json()) as { ready: boolean }).ready;
  } catch {
    // not listening yet
    return false;
  }
}

/** Stops the server and all that it started. @returns false when none was running */
export async function stopServer(directory: string): Promise<boolean> {
  const server = runningServer(directory);
  if (!server) return false;
  process.kill(server.pid, "SIGTERM");
  const deadline = performance.now() + stopWithinMs;
  while (isAlive(server.pid)) {
    if (performance.now() > deadline)
      throw failure("server.unreachable", {
        url: server.url,
        reason: `process ${server.pid} did not stop within ${stopWithinMs / 1000} s`,
      });
    await pause(50);
  }
  return true;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // a zombie takes signals, too
    return !(
      process.platform === "linux" && / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8").split(")").at(-1) ?? "")
    );
  } catch {
    // no such process
    return false;
  }
}
