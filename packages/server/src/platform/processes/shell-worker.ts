import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { endGroup, identify, isAlive, type ProcessIdentity, signalGroup } from "./identity.ts";

/** A command for a shell worker, and where its traces go. */
export type WorkerJob = {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Gets what the command prints. */
  readonly log: string;
  /** Gets the identity of the worker before the command starts. When it is there already, the command is not started. */
  readonly claim: string;
  /** Gets the exit status of the command and a line end, in one write. */
  readonly exit: string;
};

/**
 * A small shell in a session of its own that runs one command after the other.
 *
 * Forking from it costs a third of forking from the server; everything it runs is in its process group, so that a command
 * and all its children can be ended; and it outlives the server: the exit status of what was under way is in a file.
 * What stays in its group when a command is over is ended. Values travel through its standard input: no other process
 * sees them in an argument.
 */
export class ShellWorker {
  readonly identity: ProcessIdentity;
  private readonly child: ChildProcess;
  private over: (() => void) | undefined;
  private dead = false;

  private constructor(child: ChildProcess, identity: ProcessIdentity) {
    this.child = child;
    this.identity = identity;
    child.stdout?.on("data", () => this.finish());
    child.once("exit", () => {
      this.dead = true;
      this.finish();
    });
    child.stdin?.on("error", () => undefined);
    child.unref();
    (child.stdin as Socket | null)?.unref();
    this.holdsLoop(false);
  }

  /** @param env what every command sees beside its own variables @throws when the system refuses */
  static start(env: Readonly<Record<string, string>>): Promise<ShellWorker> {
    return new Promise((resolve, reject) => {
      const child = spawn("/bin/sh", [], { detached: true, stdio: ["pipe", "pipe", "ignore"], env: { ...env } });
      child.once("error", reject);
      child.once("spawn", () => {
        const identity = child.pid === undefined ? undefined : identify(child.pid);
        if (!identity) return reject(new Error("a shell ended while it started"));
        const worker = new ShellWorker(child, identity);
        // it must not end with what it ends
        child.stdin?.write("trap : TERM INT HUP\n");
        resolve(worker);
      });
    });
  }

  get isAlive(): boolean {
    return !this.dead;
  }

  /** Runs a command; resolves when it is over, or when the worker is dead. One at a time. */
  run(job: WorkerJob): Promise<void> {
    if (this.over) throw new Error("the worker is busy");
    if (this.dead) return Promise.resolve();
    const ended = new Promise<void>((resolve) => {
      this.over = resolve;
    });
    this.holdsLoop(true);
    this.child.stdin?.write(script(job, this.identity));
    return ended;
  }

  /** Lets it end by itself: it reads no further command. */
  dismiss(): void {
    this.child.stdin?.end();
  }

  /** An idle worker does not keep this program running. */
  private holdsLoop(holds: boolean): void {
    const output = this.child.stdout as Socket | null;
    if (holds) output?.ref();
    else output?.unref();
  }

  private finish(): void {
    this.holdsLoop(false);
    const over = this.over;
    this.over = undefined;
    over?.();
  }
}

/**
 * What the worker reads. `set -C` makes the claim the first and only one; the fork of the brackets keeps variables and
 * directory out of the worker; `kill 0` ends what the command left behind, and the worker has a trap for it.
 */
function script({ command, cwd, env, log, claim, exit }: WorkerJob, identity: ProcessIdentity): string {
  const variables = Object.entries(env)
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .map(([name, value]) => `${name}=${quote(value)}`)
    .join(" ");
  return [
    `set -C; if printf %s ${quote(JSON.stringify(identity))} > ${quote(claim)}; then set +C`,
    `( ${variables ? `export ${variables}; ` : ""}cd ${quote(cwd)} && exec ${command.map(quote).join(" ")} ) < /dev/null >> ${quote(log)} 2>&1`,
    `printf "%s\\n" "$?" > ${quote(exit)}; kill 0; fi; set +C; echo over`,
    "",
  ].join("\n");
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Shell workers that wait for work. */
export class ShellWorkers {
  private readonly env: Readonly<Record<string, string>>;
  private readonly idle: ShellWorker[] = [];
  private readonly keep: number;

  /** @param keep how many are kept for the next command */
  constructor(env: Readonly<Record<string, string>>, keep = 8) {
    this.env = env;
    this.keep = keep;
  }

  async borrow(): Promise<ShellWorker> {
    for (let worker = this.idle.pop(); worker; worker = this.idle.pop()) if (worker.isAlive) return worker;
    return ShellWorker.start(this.env);
  }

  giveBack(worker: ShellWorker): void {
    if (worker.isAlive && this.idle.length < this.keep) this.idle.push(worker);
    else worker.dismiss();
  }

  dismissAll(): void {
    for (const worker of this.idle.splice(0)) worker.dismiss();
  }
}

/** Ends a worker with everything in its group. A command under way is asked first; what is left after the grace is killed. */
export async function endWorkerGroup(
  identity: ProcessIdentity,
  graceMs: number,
  isOver: () => boolean,
  pause: (ms: number) => Promise<void>,
): Promise<void> {
  signalGroup(identity, "SIGTERM");
  const deadline = performance.now() + graceMs;
  while (isAlive(identity) && !isOver() && performance.now() < deadline) await pause(10);
  signalGroup(identity, "SIGKILL");
  await endGroup(identity, 1000);
}
