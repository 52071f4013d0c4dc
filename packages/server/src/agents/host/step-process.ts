import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { writeAtomically } from "../../platform/files/atomic.ts";
import { endGroup, identify, isAlive, type ProcessIdentity } from "../../platform/processes/identity.ts";

/** How a process ended. `gone`: it is dead and left no status. */
export type ProcessEnd = { readonly type: "exited"; readonly code: number } | { readonly type: "gone" };

const pollMs = 200;
const exitFile = "exit";
const identityFile = "process.json";
/** Writes the status of the command to $0. One line in one write: a reader takes it only when the line is complete. */
const wrapper = '"$@"; status=$?; printf "%s\\n" "$status" > "$0"; exit "$status"';

/**
 * A step's process in a directory of its own: started in its own session, so that it outlives the server;
 * its exit status is in a file, so that the next server learns of it.
 */
export class StepProcess {
  private readonly directory: string;
  private identity: ProcessIdentity | undefined;
  private closed: Promise<void> | undefined;

  private constructor(directory: string, identity: ProcessIdentity | undefined) {
    this.directory = directory;
    this.identity = identity;
  }

  /** Starts the command; both outputs go to `log`. @throws when the system refuses */
  static start(
    directory: string,
    start: { command: readonly string[]; cwd: string; env: Record<string, string>; log: string },
  ): Promise<StepProcess> {
    const log = openSync(start.log, "a", 0o600);
    const child = spawn("/bin/sh", ["-c", wrapper, join(directory, exitFile), ...start.command], {
      cwd: start.cwd,
      env: start.env,
      detached: true,
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    const step = new StepProcess(directory, undefined);
    step.closed = new Promise((resolve) => child.once("exit", () => resolve()));
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("spawn", () => {
        step.identity = child.pid === undefined ? undefined : identify(child.pid);
        // a process that is over already needs no identity: its status is in the file
        if (step.identity) writeIdentity(directory, step.identity);
        child.unref();
        resolve(step);
      });
    });
  }

  /** The process that a former server started in this directory, or nothing when none was. */
  static adopt(directory: string): StepProcess | undefined {
    const file = join(directory, identityFile);
    if (existsSync(file)) return new StepProcess(directory, JSON.parse(readFileSync(file, "utf8")) as ProcessIdentity);
    return existsSync(join(directory, exitFile)) ? new StepProcess(directory, undefined) : undefined;
  }

  /** Waits for the end. */
  async ended(): Promise<ProcessEnd> {
    if (this.closed) {
      await this.closed;
      return this.status() ?? { type: "gone" };
    }
    for (;;) {
      const status = this.status();
      if (status) return status;
      // the status may have been written between the two looks
      if (!this.identity || !isAlive(this.identity)) return this.status() ?? { type: "gone" };
      await pause(pollMs, undefined, { ref: false });
    }
  }

  private status(): ProcessEnd | undefined {
    const file = join(this.directory, exitFile);
    if (!existsSync(file)) return undefined;
    const match = /^(\d+)\n$/.exec(readFileSync(file, "utf8"));
    return match ? { type: "exited", code: Number(match[1]) } : undefined;
  }

  /** Ends the process and its children. */
  async end(graceMs: number): Promise<void> {
    if (this.identity) await endGroup(this.identity, graceMs);
  }
}

function writeIdentity(directory: string, identity: ProcessIdentity): void {
  writeAtomically(join(directory, identityFile), JSON.stringify(identity), 0o600, { sync: false });
}
