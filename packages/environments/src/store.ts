import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { runTool, type Say, ToolFailure } from "./command.ts";
import { findUv, uvEnvironment } from "./uv.ts";

/** What an environment is made of. The same request is the same environment. */
export type EnvironmentRequest = {
  /** `3.11`, `3.11.7`; absent for whatever Python is there. */
  readonly python?: string;
  /** Lines of a requirements file, each a requirement or an option of pip (`-r`, `--index-url`, …) that uv knows. */
  readonly requirements: readonly string[];
  /** Files that requirements refer to (`-r`, `-c`, `./package`), by path, so that a change in them counts. */
  readonly files?: Readonly<Record<string, string>>;
  /** Where relative paths in the requirements are looked up. */
  readonly directory?: string;
  /** A conda environment file, made by a conda-compatible tool instead of uv. */
  readonly conda?: { readonly tool: string; readonly file: string; readonly text: string };
};

export type Environment = {
  /** SHA-256 of the request and the platform, cut to 16 hex digits. */
  readonly fingerprint: string;
  readonly directory: string;
  readonly python: string;
  /** What was asked for, in words. */
  readonly requested: string;
  /** The versions that were installed, one a line. */
  readonly lock: string;
  readonly warnings: readonly string[];
};

const manifestFile = "environment.json";
/** Part of the fingerprint: raise it when the way of building changes. */
const recipeVersion = 1;

/** The digest that names an environment. Order and comments of the requirements do not matter, options do. */
export function fingerprint(request: EnvironmentRequest): string {
  const plain = request.requirements
    .map((line) => line.replace(/\s+#.*$/, "").trim())
    .filter((line) => line && !line.startsWith("#"));
  const parts = {
    recipeVersion,
    platform: `${process.platform}-${process.arch}`,
    python: request.python ?? "",
    requirements: [...new Set(plain)].sort(),
    files: Object.entries(request.files ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)),
    conda: request.conda?.text ?? "",
  };
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

/** Content-addressed Python environments in one directory, shared by builds, training and serving. */
export class EnvironmentStore {
  readonly directory: string;
  private readonly tools: string;

  /** @param tools where fetched tools are kept */
  constructor(directory: string, tools: string) {
    this.directory = directory;
    this.tools = tools;
  }

  /** The environment with this fingerprint, when it is complete. */
  find(of: string): Environment | undefined {
    const file = join(this.directory, of, manifestFile);
    if (!/^[0-9a-f]{16}$/.test(of) || !existsSync(file)) return undefined;
    return { ...(JSON.parse(readFileSync(file, "utf8")) as Environment), directory: join(this.directory, of) };
  }

  /**
   * The environment of a request: found, or made. Two callers at once make it once.
   * A failed or interrupted build leaves nothing behind that could be taken for an environment.
   * @throws ToolFailure with the installer's own words; `tool.missing`
   */
  async ensure(
    request: EnvironmentRequest,
    options: { strict: boolean; say: Say },
  ): Promise<{ environment: Environment; made: boolean }> {
    const name = fingerprint(request);
    const found = this.find(name);
    if (found) return { environment: found, made: false };
    mkdirSync(this.directory, { recursive: true });
    const release = await this.lock(name, options.say);
    try {
      const meanwhile = this.find(name);
      if (meanwhile) return { environment: meanwhile, made: false };
      return { environment: await this.make(name, request, options), made: true };
    } finally {
      release();
    }
  }

  private async make(
    name: string,
    request: EnvironmentRequest,
    options: { strict: boolean; say: Say },
  ): Promise<Environment> {
    const directory = join(this.directory, name);
    rmSync(directory, { recursive: true, force: true });
    try {
      const made = request.conda
        ? await makeConda(directory, request.conda, options.say)
        : await makeWithUv(await findUv(this.tools, options.say), directory, request, options);
      const environment: Environment = { fingerprint: name, directory, ...made };
      const file = join(directory, manifestFile);
      writeFileSync(`${file}.tmp`, JSON.stringify(environment, null, 2));
      renameSync(`${file}.tmp`, file);
      return environment;
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** A directory is the lock; it names its holder, so that the lock of a dead process is taken over. */
  private async lock(name: string, say: Say): Promise<() => void> {
    const directory = join(this.directory, `${name}.lock`);
    const holder = join(directory, "pid");
    for (let waited = false; ; waited = true) {
      try {
        mkdirSync(directory);
        writeFileSync(holder, String(process.pid));
        return () => rmSync(directory, { recursive: true, force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      if (isDead(holder)) {
        rmSync(directory, { recursive: true, force: true });
        continue;
      }
      if (!waited) say("another build of the same environment is under way; waiting for it");
      await pause(200);
    }
  }
}

function isDead(pidFile: string): boolean {
  let pid: number;
  try {
    pid = Number(readFileSync(pidFile, "utf8"));
  } catch {
    // the holder is between making the directory and writing its number
    return false;
  }
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

type Made = Omit<Environment, "fingerprint" | "directory">;

async function makeWithUv(
  uv: string,
  directory: string,
  request: EnvironmentRequest,
  { strict, say }: { strict: boolean; say: Say },
): Promise<Made> {
  const env = uvEnvironment(process.env);
  const warnings: string[] = [];
  const venv = (python: string | undefined) =>
    runTool(uv, ["venv", "--quiet", ...(python ? ["--python", python] : []), directory], { env });
  if (request.python) {
    try {
      await venv(request.python);
    } catch (error) {
      const word = `Python ${request.python} is asked for and is not to be had on this machine`;
      if (!(error instanceof ToolFailure)) throw error;
      if (strict) throw new ToolFailure(word, error.exitCode, `${word}\n${error.output}`);
      warnings.push(`${word}; the machine's own Python is used instead`);
      say(`WARNING: ${warnings.at(-1)}`);
      await venv(undefined);
    }
  } else await venv(undefined);
  const python = join(directory, "bin", "python");
  const list = join(directory, "requirements.txt");
  writeFileSync(list, `${request.requirements.join("\n")}\n`);
  // relative paths in a requirements file count from its own directory: put ours beside what it refers to
  const beside = request.directory ? join(request.directory, `.fuseml-requirements-${process.pid}.txt`) : undefined;
  if (beside) writeFileSync(beside, `${request.requirements.join("\n")}\n`);
  try {
    await runTool(uv, ["pip", "install", "--python", python, "--requirement", beside ?? list], {
      env,
      say,
      ...(request.directory ? { cwd: request.directory } : {}),
    });
  } finally {
    if (beside) rmSync(beside, { force: true });
  }
  const lock = await runTool(uv, ["pip", "freeze", "--python", python], { env });
  const version = (await runTool(python, ["-c", "import platform; print(platform.python_version())"])).trim();
  return { python: version, requested: request.requirements.join("\n"), lock, warnings };
}

async function makeConda(directory: string, conda: NonNullable<EnvironmentRequest["conda"]>, say: Say): Promise<Made> {
  const file = `${directory}.environment.yaml`;
  writeFileSync(file, conda.text);
  try {
    await runTool(conda.tool, ["env", "create", "--yes", "--quiet", "--prefix", directory, "--file", file], { say });
  } finally {
    rmSync(file, { force: true });
  }
  const lock = await runTool(join(directory, "bin", "python"), ["-m", "pip", "freeze"]);
  const version = (
    await runTool(join(directory, "bin", "python"), ["-c", "import platform; print(platform.python_version())"])
  ).trim();
  return { python: version, requested: conda.text, lock, warnings: [] };
}

/** The variables that make an environment the one that `python` and its scripts come from. */
export function activate(environment: Pick<Environment, "directory">, base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { PYTHONDONTWRITEBYTECODE: _slow, PYTHONHOME: _home, PYTHONPATH: _path, ...rest } = base;
  return {
    ...rest,
    VIRTUAL_ENV: environment.directory,
    PATH: `${join(environment.directory, "bin")}:${base.PATH ?? "/usr/bin:/bin"}`,
  };
}
