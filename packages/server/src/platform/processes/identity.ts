import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** A process that is not mistaken for another one that got its number later. */
export type ProcessIdentity = {
  readonly pid: number /** What the kernel says of its start; opaque. */;
  readonly startedAt: string;
  /** Of the machine's present run: after a restart, and on another machine, numbers mean other processes. */
  readonly boot?: string;
};

const bootFile = "/proc/sys/kernel/random/boot_id";
let boot: string | undefined;
function thisBoot(): string {
  boot ??= existsSync(bootFile) ? readFileSync(bootFile, "utf8").trim() : "";
  return boot;
}

/** The identity of a living process, or nothing when there is none (a zombie counts as none). */
export function identify(pid: number): ProcessIdentity | undefined {
  if (process.platform === "linux") {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      // the command may hold spaces and brackets: fields count from behind the last ")"
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const [state, startTicks] = [fields[0], fields[19]];
      return state === "Z" || startTicks === undefined ? undefined : { pid, startedAt: startTicks, boot: thisBoot() };
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "ENOENT" || code === "ESRCH") return undefined;
      throw error;
    }
  }
  try {
    const startedAt = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim();
    return startedAt ? { pid, startedAt, boot: thisBoot() } : undefined;
  } catch {
    // ps answers with status 1 when there is no such process
    return undefined;
  }
}

export function isAlive(identity: ProcessIdentity): boolean {
  if (identity.boot !== undefined && identity.boot !== thisBoot()) return false;
  return identify(identity.pid)?.startedAt === identity.startedAt;
}

/** Sends a signal to the process and all of its group. It must lead a group of its own. A dead one is no error. */
export function signalGroup(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(identity) && signal !== "SIGKILL") return;
  try {
    process.kill(-identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Polls until the process is gone. @returns whether it went within the time */
export async function waitUntilGone(identity: ProcessIdentity, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (isAlive(identity)) {
    if (performance.now() > deadline) return false;
    await pause(20);
  }
  return true;
}

/** Asks the group to end, and makes it end when it does not. */
export async function endGroup(identity: ProcessIdentity, graceMs = 5000): Promise<void> {
  signalGroup(identity, "SIGTERM");
  if (!(await waitUntilGone(identity, graceMs))) {
    signalGroup(identity, "SIGKILL");
    await waitUntilGone(identity, 5000);
  }
}
