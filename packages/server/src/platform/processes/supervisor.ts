import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { writeAtomically } from "../files/atomic.ts";
import { endGroup, identify, isAlive, type ProcessIdentity } from "./identity.ts";

export type ServiceProcess = {
  /** Names its state and log files. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Is answered, with a status below 500, when the service is ready. */
  readonly healthUrl: string;
  readonly readyWithinMs: number;
};

type Entry = {
  readonly service: ServiceProcess;
  identity: ProcessIdentity | undefined;
  child: ChildProcess | undefined;
  stopping: boolean;
  restarts: number;
  watch: NodeJS.Timeout | undefined;
};

const watchEveryMs = 1000;
const longestBackoffMs = 30_000;

/**
 * Keeps long-living processes running: each in a session of its own, so that it outlives a crash of the server and is
 * adopted by the next one; started again, with growing pauses, when it dies.
 */
export class Supervisor {
  private readonly directory: string;
  private readonly entries = new Map<string, Entry>();

  /** @param directory holds `<name>.json` (the identity) and `<name>.log` */
  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  private logOf(name: string): string {
    return join(this.directory, `${name}.log`);
  }

  /** Whether a former server left the service running. */
  isLeftRunning(name: string): boolean {
    return this.leftRunning(name) !== undefined;
  }

  /** Starts the service, or adopts the one that a former server left running; returns when it answers. */
  async ensure(service: ServiceProcess, signal?: AbortSignal): Promise<void> {
    const known = this.entries.get(service.name);
    if (known && !known.stopping && known.identity && isAlive(known.identity)) return this.untilReady(known, signal);
    const entry: Entry = {
      service,
      identity: this.leftRunning(service.name),
      child: undefined,
      stopping: false,
      restarts: 0,
      watch: undefined,
    };
    this.entries.set(service.name, entry);
    if (!entry.identity) this.start(entry);
    this.watch(entry);
    await this.untilReady(entry, signal);
  }

  /** Ends the service and forgets it. */
  async stop(name: string, graceMs = 5000): Promise<void> {
    const entry = this.entries.get(name);
    const identity = entry?.identity ?? this.leftRunning(name);
    if (entry) {
      entry.stopping = true;
      clearInterval(entry.watch);
    }
    if (identity && isAlive(identity)) await endGroup(identity, graceMs);
    this.entries.delete(name);
    rmSync(this.stateOf(name), { force: true });
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.entries.keys()].map((name) => this.stop(name)));
  }

  private stateOf(name: string): string {
    return join(this.directory, `${name}.json`);
  }

  private leftRunning(name: string): ProcessIdentity | undefined {
    const file = this.stateOf(name);
    if (!existsSync(file)) return undefined;
    const identity = JSON.parse(readFileSync(file, "utf8")) as ProcessIdentity;
    return isAlive(identity) ? identity : undefined;
  }

  private start(entry: Entry): void {
    const { service } = entry;
    const log = openSync(this.logOf(service.name), "a", 0o600);
    try {
      const child = spawn(service.command, [...service.args], {
        detached: true,
        stdio: ["ignore", log, log],
        env: { ...service.env },
        ...(service.cwd ? { cwd: service.cwd } : {}),
      });
      child.on("error", () => undefined);
      child.unref();
      entry.child = child;
      entry.identity = child.pid === undefined ? undefined : identify(child.pid);
      if (entry.identity) writeAtomically(this.stateOf(service.name), JSON.stringify(entry.identity), 0o600);
    } finally {
      closeSync(log);
    }
  }

  private watch(entry: Entry): void {
    let startAgainAt = 0;
    entry.watch = setInterval(() => {
      if (entry.stopping || (entry.identity && isAlive(entry.identity))) return;
      const now = performance.now();
      if (startAgainAt === 0) startAgainAt = now + Math.min(longestBackoffMs, 500 * 2 ** entry.restarts);
      if (now < startAgainAt) return;
      startAgainAt = 0;
      entry.restarts += 1;
      this.start(entry);
    }, watchEveryMs);
    entry.watch.unref();
  }

  private async untilReady(entry: Entry, signal: AbortSignal | undefined): Promise<void> {
    const { service } = entry;
    const deadline = performance.now() + service.readyWithinMs;
    for (;;) {
      if (signal?.aborted) throw new Error(`stopped waiting for ${service.name}`);
      if (entry.stopping) throw new Error(`${service.name} was stopped while it started`);
      if (await answers(service.healthUrl)) return;
      if (!entry.identity || !isAlive(entry.identity)) {
        throw new Error(`${service.name} ended while it started; its last words:\n${this.lastWords(service.name)}`);
      }
      if (performance.now() > deadline) {
        throw new Error(
          `${service.name} did not answer at ${service.healthUrl} within ${service.readyWithinMs / 1000} s:\n${this.lastWords(service.name)}`,
        );
      }
      await pause(50);
    }
  }

  private lastWords(name: string): string {
    const file = this.logOf(name);
    return existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n").slice(-15).join("\n") : "(none)";
  }
}

/** Whether a GET is answered, and not with a fault of the server. */
export async function answers(url: string, timeoutMs = 2000): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    await response.body?.cancel();
    return response.status < 500;
  } catch {
    // refused, reset or timed out: it does not answer
    return false;
  }
}
