import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client } from "@fuseml/client/client";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const cli = join(repository, "packages/cli/src/main.ts");

export type Result = { readonly code: number; readonly out: string; readonly err: string };

/** A FuseML of its own for a test: an empty home, a data directory, a port that is free, and the real command line. */
export class Fuseml {
  readonly home: string;
  readonly dataDir: string;
  readonly env: NodeJS.ProcessEnv;
  url = "";

  private constructor(home: string, extra: NodeJS.ProcessEnv) {
    this.home = home;
    this.dataDir = join(home, "data");
    const {
      FUSEML_SERVER_URL: _url,
      FUSEML_TOKEN: _token,
      XDG_CONFIG_HOME: _config,
      XDG_DATA_HOME: _data,
      ...inherited
    } = process.env;
    this.env = {
      ...inherited,
      HOME: home,
      FUSEML_DATA_DIR: this.dataDir,
      FUSEML_PORT: "0",
      FUSEML_AGENTS: "host",
      NO_COLOR: "1",
      // the home is empty, but downloads come from the user's own cache
      UV_CACHE_DIR: process.env.UV_CACHE_DIR ?? join(homedir(), ".cache", "uv"),
      ...extra,
    };
  }

  /** Steps with the image `test/shell:*` run the text of their variable `SCRIPT`. */
  static async start(extra: NodeJS.ProcessEnv = {}): Promise<Fuseml> {
    const fuseml = new Fuseml(mkdtempSync(join(tmpdir(), "fuseml-e2e-")), extra);
    mkdirSync(fuseml.dataDir);
    writeFileSync(
      join(fuseml.dataDir, "host-recipes.yaml"),
      'recipes: [{image: "test/shell:*", command: [sh, -c, \'eval "$SCRIPT"\']}]\n',
    );
    await fuseml.startServer();
    return fuseml;
  }

  async startServer(): Promise<void> {
    const { code, out, err } = await this.cli("server", "start");
    if (code !== 0) throw new Error(`the server did not start: ${out}${err}`);
    const record = this.record();
    this.url = record.url;
    this.env.FUSEML_SERVER_URL = record.url;
    // the steps know the server by this address: it must be the same after a restart
    this.env.FUSEML_PORT = new URL(record.url).port;
  }

  record(): { pid: number; url: string } {
    return JSON.parse(readFileSync(join(this.dataDir, "server.json"), "utf8")) as { pid: number; url: string };
  }

  get client(): Client {
    return new Client({ url: this.url });
  }

  /** As after a power cut: SIGKILL, and a new server over the same data. */
  async crash(): Promise<void> {
    const { pid } = this.record();
    process.kill(pid, "SIGKILL");
    await until("the server is gone", () => !isAlive(pid));
  }

  /** Runs the command line to its end. */
  cli(...args: string[]): Promise<Result> {
    return this.run(process.execPath, [cli, ...args]);
  }

  /** As `cli`, and fails when the command does. @returns its output */
  async ok(...args: string[]): Promise<string> {
    const { code, out, err } = await this.cli(...args);
    if (code !== 0) throw new Error(`fuseml ${args.join(" ")} ended with ${code}: ${out}${err}`);
    return out;
  }

  run(command: string, args: readonly string[], cwd = this.home): Promise<Result> {
    return new Promise((resolve, reject) => {
      const child = spawn(command, [...args], { cwd, env: this.env, stdio: ["ignore", "pipe", "pipe"] });
      let [out, err] = ["", ""];
      child.stdout.on("data", (chunk: Buffer) => {
        out += chunk.toString("utf8");
      });
      child.stderr.on("data", (chunk: Buffer) => {
        err += chunk.toString("utf8");
      });
      child.on("error", reject);
      child.on("close", (code) => resolve({ code: code ?? -1, out, err }));
    });
  }

  /** Real git, as a user would type it. @returns its output */
  async git(cwd: string, ...args: string[]): Promise<string> {
    const { code, out, err } = await this.run(
      "git",
      ["-c", "user.name=Test", "-c", "user.email=test@localhost", ...args],
      cwd,
    );
    if (code !== 0) throw new Error(`git ${args.join(" ")} ended with ${code}: ${out}${err}`);
    return out;
  }

  /** A directory with these files. */
  directory(name: string, files: Readonly<Record<string, string>>): string {
    const directory = join(this.home, name);
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, file)), { recursive: true });
      writeFileSync(join(directory, file), text);
    }
    return directory;
  }

  /** A copy of something in the repository. */
  copy(from: string, name: string): string {
    const directory = join(this.home, name);
    cpSync(join(repository, from), directory, { recursive: true });
    return directory;
  }

  /** Ends everything and removes it. */
  async dispose(): Promise<void> {
    if (existsSync(join(this.dataDir, "server.json"))) await this.cli("server", "stop");
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** Waits for something that will be true; fails, and says what, when it is not within the time. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`waited ${withinMs / 1000} s in vain: ${what}`);
    await pause(25);
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    // no such process
    return false;
  }
}

/** The arguments of every process of this machine. */
export const commandLines = (): string[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        // it has ended meanwhile
        return "";
      }
    });

/** A workflow of shell steps, run one after the other. The codeset input is optional. */
export function shellWorkflow(
  name: string,
  steps: Readonly<Record<string, string>>,
  of: { codeset?: boolean; outputs?: Readonly<Record<string, string[]>> } = {},
): string {
  const input = of.codeset ? "inputs: [{name: code, type: codeset}]\n" : "";
  const lines = Object.entries(steps).map(([step, script]) => {
    const inputs = of.codeset
      ? '    inputs: [{name: code, codeset: {name: "{{ inputs.code }}", path: /project}}]\n'
      : "";
    const outputs = of.outputs?.[step]?.map((output) => `{name: ${output}}`).join(", ");
    return `  - name: ${step}\n    image: test/shell:1\n${inputs}${outputs ? `    outputs: [${outputs}]\n` : ""}    env: [{name: SCRIPT, value: ${JSON.stringify(script)}}]\n`;
  });
  return `name: ${name}\n${input}steps:\n${lines.join("")}`;
}
