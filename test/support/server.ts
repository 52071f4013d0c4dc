import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "@fuseml/client/client";
import { until } from "./fuseml.ts";

export const serverProgram = fileURLToPath(new URL("../../packages/server/src/main.ts", import.meta.url));

/** A server that a test starts and kills itself: without the command line in between. */
export class ServerProcess {
  readonly url: string;
  readonly client: Client;
  private readonly env: NodeJS.ProcessEnv;
  private readonly program: string;
  private child: ChildProcess | undefined;

  constructor(home: string, port: number, env: NodeJS.ProcessEnv = {}, program = serverProgram) {
    this.url = `http://127.0.0.1:${port}`;
    this.client = new Client({ url: this.url, timeoutMs: 10_000 });
    this.program = program;
    this.env = {
      ...process.env,
      HOME: home,
      FUSEML_DATA_DIR: join(home, "data"),
      FUSEML_PORT: String(port),
      FUSEML_LOG_LEVEL: "error",
      FUSEML_AGENTS: "host",
      ...env,
    };
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  get isUp(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Starts it; resolves when it answers. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [this.program], {
      env: this.env,
      stdio: ["ignore", process.env.FUSEML_TEST_LOG ? openSync(process.env.FUSEML_TEST_LOG, "a") : "ignore", "inherit"],
      detached: true,
    });
    this.child = child;
    await until("the server answers", async () => {
      if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode} while it started`);
      return this.answers();
    });
  }

  private async answers(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/readyz`)).ok;
    } catch {
      // not yet
      return false;
    }
  }

  /** As a power cut does. Resolves when it is gone. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const { child } = this;
    if (!child || !this.isUp) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }
}
