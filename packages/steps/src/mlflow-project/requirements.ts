import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import type { EnvironmentRequest } from "@fuseml/environments/store";
import { onPath } from "@fuseml/environments/uv";
import { parse } from "yaml";
import { StepError } from "../step/context.ts";
import { translateConda } from "./conda.ts";
import type { MlflowProject } from "./project-file.ts";

export type ProjectRequirements = {
  readonly request: EnvironmentRequest;
  /** Which file or part of the MLproject said so. */
  readonly from: string;
  readonly warnings: readonly string[];
};

export type RequirementOptions = {
  readonly strict: boolean;
  /** Where conda-compatible tools are looked for. */
  readonly path?: string;
  /** The tool that will be there when the environment is made; empty for none. Absent: what is on the path. */
  readonly condaTool?: string;
};

const condaTools = ["micromamba", "mamba", "conda"];
const condaFiles = ["conda.yaml", "conda.yml"];
const pythonEnvFiles = ["python_env.yaml", "python_env.yml"];

/**
 * What the environment of a project must hold, plus what MLflow needs to run the project and to reach its store.
 * @throws StepError; with `strict` also for what would be a warning
 */
export function projectRequirements(
  project: MlflowProject,
  directory: string,
  options: RequirementOptions,
): ProjectRequirements {
  const { environment } = project;
  if (environment.kind === "docker_env") {
    throw new StepError(
      `${project.file} asks for docker_env, which only a container can give; this machine's host agent runs processes`,
      "use python_env or conda_env instead, or run the workflow on a container or Kubernetes agent",
    );
  }
  if (environment.kind === "none") return undeclared(project, directory, options);
  const of = "file" in environment ? environment.file : `${environment.kind} in ${project.file}`;
  const text = "file" in environment ? readFileSync(join(directory, environment.file), "utf8") : undefined;
  if (environment.kind === "conda_env")
    return fromConda(text ?? JSON.stringify("inline" in environment ? environment.inline : {}), of, directory, options);
  const raw: unknown = text === undefined ? ("inline" in environment ? environment.inline : {}) : readYaml(text, of);
  return fromPythonEnv(raw, of, directory);
}

/** A project that names no environment: the files that the seeds know, conda's first. */
function undeclared(project: MlflowProject, directory: string, options: RequirementOptions): ProjectRequirements {
  const found = (names: readonly string[]) => names.find((name) => existsSync(join(directory, name)));
  const conda = found(condaFiles);
  if (conda) return fromConda(readFileSync(join(directory, conda), "utf8"), conda, directory, options);
  const pythonEnv = found(pythonEnvFiles);
  if (pythonEnv)
    return fromPythonEnv(readYaml(readFileSync(join(directory, pythonEnv), "utf8"), pythonEnv), pythonEnv, directory);
  const listed = found(["requirements.txt"]);
  if (listed) return finish(readLines(join(directory, listed)), undefined, listed, directory, []);
  return finish([], undefined, project.file, directory, [
    "the codeset names no requirements (conda.yaml, python_env.yaml or requirements.txt): only MLflow is installed",
  ]);
}

function fromConda(
  text: string,
  of: string,
  directory: string,
  { strict, path, condaTool }: RequirementOptions,
): ProjectRequirements {
  const tool =
    condaTool !== undefined
      ? condaTool || undefined
      : condaTools.map((name) => onPath(name, path)).find((candidate) => candidate !== undefined);
  if (tool) {
    const withMlflow = withMlflowInConda(text, of);
    return { request: { requirements: [], conda: { tool, file: of, text: withMlflow } }, from: of, warnings: [] };
  }
  const { python, requirements, untranslatable, notes } = translateConda(text, of);
  const warnings = [
    `no conda-compatible tool on PATH: ${of} is translated for pip`,
    ...notes,
    ...untranslatable.map((why) => `${why}; it is left out`),
  ];
  if (strict && untranslatable.length > 0) {
    throw new StepError(
      `${of} asks for what pip cannot give: ${untranslatable.join("; ")}`,
      "install micromamba, mamba or conda, remove these packages, or set strict to false",
    );
  }
  return finish(requirements, python, of, directory, warnings);
}

/** The conda file with MLflow and boto3 among its pip packages. Exported for its test. */
export function withMlflowInConda(text: string, of: string): string {
  const raw = readYaml(text, of) as { dependencies?: unknown[] };
  const dependencies = Array.isArray(raw.dependencies) ? raw.dependencies : [];
  const pip = dependencies.flatMap((entry) =>
    typeof entry === "object" && entry !== null && "pip" in entry ? ((entry as { pip: string[] }).pip ?? []) : [],
  );
  const plain = dependencies.filter((entry) => typeof entry === "string");
  const has = (name: string) => [...pip, ...plain].some((entry) => requirementName(String(entry)) === name);
  const added = ["mlflow", "boto3"].filter((name) => !has(name));
  return JSON.stringify({
    ...raw,
    dependencies: [
      ...plain,
      ...(plain.some((entry) => requirementName(entry) === "pip") ? [] : ["pip"]),
      { pip: [...pip, ...added] },
    ],
  });
}

function fromPythonEnv(raw: unknown, of: string, directory: string): ProjectRequirements {
  const {
    python,
    build_dependencies: build = [],
    dependencies = [],
  } = (raw ?? {}) as { python?: unknown; build_dependencies?: unknown; dependencies?: unknown };
  if (!Array.isArray(build) || !Array.isArray(dependencies))
    throw new StepError(`${of}: dependencies and build_dependencies must be lists`);
  // YAML reads 3.10 as the number 3.1
  if (typeof python === "number")
    throw new StepError(`${of}: python is ${python}, a number`, `write it in quotes: python: "${python}"`);
  // pip itself is uv's business
  const lines = [...build, ...dependencies].map(String).filter((line) => requirementName(line) !== "pip");
  return finish(lines, typeof python === "string" ? python : undefined, of, directory, []);
}

function finish(
  lines: readonly string[],
  python: string | undefined,
  from: string,
  directory: string,
  warnings: readonly string[],
): ProjectRequirements {
  const files: Record<string, string> = {};
  const all = follow(lines, directory, dirname(from), files, 0);
  const names = new Set(all.map(requirementName));
  // `mlflow run` is in the full package; boto3 is how MLflow reaches an S3 store
  const added = ["mlflow", "boto3"].filter((name) => !names.has(name));
  return {
    request: { ...(python ? { python } : {}), requirements: [...all, ...added], files, directory },
    from,
    warnings,
  };
}

/** Lines with the files that they include (`-r`) put in their place; local packages and constraints count by content. */
function follow(
  lines: readonly string[],
  root: string,
  base: string,
  files: Record<string, string>,
  depth: number,
): string[] {
  if (depth > 10) throw new StepError("requirements files include each other without end");
  return lines.flatMap((line) => {
    const plain = line.replace(/\s+#.*$/, "").trim();
    if (plain === "" || plain.startsWith("#")) return [];
    const included = /^(?:-r|--requirement)[\s=]*(.+)$/.exec(plain)?.[1];
    if (included) {
      const path = inside(root, join(base, included), plain);
      return follow(readLines(path), root, join(base, dirname(included)), files, depth + 1);
    }
    const constraint = /^(?:-c|--constraint)[\s=]*(.+)$/.exec(plain)?.[1];
    if (constraint) {
      const path = inside(root, join(base, constraint), plain);
      files[constraint] = readFileSync(path, "utf8");
      return [`-c ${path}`];
    }
    const local = /^(?:-e\s+|--editable[\s=]+)?(\.{1,2}(?:\/.*)?)$/.exec(plain)?.[1];
    if (local) {
      const path = inside(root, join(base, local), plain);
      files[local] = digestOf(path);
      // a working copy does not outlive its step: it cannot be installed as editable
      return [path];
    }
    return [plain];
  });
}

function inside(root: string, relative: string, line: string): string {
  const path = normalize(join(root, relative));
  if (path !== normalize(root) && !path.startsWith(normalize(`${root}/`)))
    throw new StepError(`the requirement "${line}" leads out of the codeset`);
  if (!existsSync(path))
    throw new StepError(`the requirement "${line}" names ${relative}, which is not in the codeset`);
  return path;
}

function digestOf(path: string): string {
  const hash = createHash("sha256");
  const walk = (at: string): void => {
    for (const entry of readdirSync(at, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name === ".git" || entry.name === ".fuseml") continue;
      const child = join(at, entry.name);
      if (entry.isDirectory()) walk(child);
      else if (entry.isFile()) hash.update(child.slice(path.length)).update(readFileSync(child));
    }
  };
  walk(path);
  return hash.digest("hex");
}

const readLines = (path: string): string[] => readFileSync(path, "utf8").replaceAll("\\\n", "").split(/\r?\n/);

function readYaml(text: string, of: string): unknown {
  try {
    return parse(text.replaceAll("\r\n", "\n"));
  } catch (error) {
    throw new StepError(`${of}: ${(error as Error).message}`);
  }
}

/** `MLflow[extras]>=2 ; python_version…` is `mlflow`. */
export const requirementName = (line: string): string =>
  (/^[A-Za-z0-9][A-Za-z0-9._-]*/.exec(line.trim())?.[0] ?? "").toLowerCase().replaceAll(/[._]/g, "-");

/** Whether conda is asked for: by the project file, or by a conda file beside it. */
export const wantsConda = ({ environment }: MlflowProject, directory: string): boolean =>
  environment.kind === "conda_env" ||
  (environment.kind === "none" && condaFiles.some((name) => existsSync(join(directory, name))));
