import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { StepError } from "../step/context.ts";

export const parameterTypes = ["string", "float", "int", "path", "uri"] as const;
export type ParameterType = (typeof parameterTypes)[number];
export type Parameter = { readonly type: ParameterType; readonly default?: string | number | boolean };
export type EntryPoint = { readonly command: string; readonly parameters: Readonly<Record<string, Parameter>> };

/** Where a project says that its environment is: a file beside it, or written out in the MLproject file. */
export type EnvironmentSource =
  | { readonly kind: "python_env" | "conda_env"; readonly file: string }
  | { readonly kind: "python_env" | "conda_env"; readonly inline: Readonly<Record<string, unknown>> }
  | { readonly kind: "docker_env" }
  | { readonly kind: "none" };

export type MlflowProject = {
  /** As it is spelled on the disk. */
  readonly file: string;
  readonly name: string;
  readonly environment: EnvironmentSource;
  readonly entryPoints: Readonly<Record<string, EntryPoint>>;
};

/** MLflow takes the file whatever the case of its name. */
export function findProjectFile(directory: string): string | undefined {
  return readdirSync(directory).find((name) => name.toLowerCase() === "mlproject");
}

/**
 * Reads the MLproject file of a codeset, as the wild writes it: comments, anchors, Windows line ends, parameters with a
 * bare type or a bare default.
 * @throws StepError that names the file and the line
 */
export function readProject(directory: string): MlflowProject {
  const file = findProjectFile(directory);
  if (!file) {
    const found = readdirSync(directory).filter((name) => !name.startsWith("."));
    throw new StepError(
      "the codeset has no MLproject file in its root directory",
      `found: ${found.slice(0, 12).join(", ") || "nothing"}. Add an MLproject file: https://mlflow.org/docs/latest/projects.html`,
    );
  }
  return parseProject(readFileSync(join(directory, file), "utf8"), file, (name) => existsSync(join(directory, name)));
}

/** Pure part of `readProject`. */
export function parseProject(text: string, file: string, exists: (name: string) => boolean): MlflowProject {
  const document = parseDocument(text.replaceAll("\r\n", "\n").replace(/^\uFEFF/, ""));
  const [error] = document.errors;
  if (error) throw new StepError(`${file}: ${error.message}`, "check the indentation around this line");
  const raw: unknown = document.toJS();
  if (!isMapping(raw))
    throw new StepError(`${file} is not a mapping`, "it holds name, entry_points and an environment");
  return {
    file,
    name: typeof raw.name === "string" ? raw.name : "",
    environment: environmentSource(raw, file, exists),
    entryPoints: entryPoints(raw.entry_points, file),
  };
}

type Mapping = Readonly<Record<string, unknown>>;
const isMapping = (value: unknown): value is Mapping =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function environmentSource(raw: Mapping, file: string, exists: (name: string) => boolean): EnvironmentSource {
  if (raw.docker_env !== undefined) return { kind: "docker_env" };
  for (const kind of ["python_env", "conda_env"] as const) {
    const value = raw[kind];
    if (value === undefined || value === null) continue;
    if (isMapping(value)) return { kind, inline: value };
    if (typeof value !== "string") throw new StepError(`${file}: ${kind} must be a file name or a mapping`);
    if (!exists(value))
      throw new StepError(
        `${file}: ${kind} names the file ${value}, which is not in the codeset`,
        "correct the name, or add the file",
      );
    return { kind, file: value };
  }
  return { kind: "none" };
}

function entryPoints(raw: unknown, file: string): Record<string, EntryPoint> {
  if (raw === undefined || raw === null) return {};
  if (!isMapping(raw)) throw new StepError(`${file}: entry_points must be a mapping of names to commands`);
  return Object.fromEntries(
    Object.entries(raw).map(([name, value]) => {
      if (!isMapping(value) || typeof value.command !== "string")
        throw new StepError(`${file}: entry point "${name}" has no command`);
      const parameters = isMapping(value.parameters) ? value.parameters : {};
      return [
        name,
        {
          command: value.command,
          parameters: Object.fromEntries(
            Object.entries(parameters).map(([key, of]) => [key, parameterOf(of, `${file}: parameter "${key}"`)]),
          ),
        },
      ];
    }),
  );
}

/** `{type, default}`, a bare type (`float`) or a bare default (`0.5`). */
function parameterOf(raw: unknown, where: string): Parameter {
  const typed = (text: unknown): ParameterType => {
    if (text === undefined) return "string";
    if (parameterTypes.includes(text as ParameterType)) return text as ParameterType;
    throw new StepError(`${where} has the unknown type "${String(text)}"`, `types: ${parameterTypes.join(", ")}`);
  };
  if (raw === null || raw === undefined) return { type: "string" };
  if (isMapping(raw)) {
    const value = raw.default;
    const known = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
    return { type: typed(raw.type), ...(known ? { default: value } : {}) };
  }
  if (typeof raw === "number") return { type: Number.isInteger(raw) ? "int" : "float", default: raw };
  if (typeof raw === "boolean") return { type: "string", default: raw };
  if (typeof raw === "string")
    return parameterTypes.includes(raw as ParameterType)
      ? { type: raw as ParameterType }
      : { type: "string", default: raw };
  throw new StepError(`${where} must be a type, a default or a mapping of both`);
}

/** The same project as MLflow itself accepts it: every parameter written out, no environment (the step runs in it already). */
export function plainProject(project: MlflowProject): Record<string, unknown> {
  return { ...(project.name ? { name: project.name } : {}), entry_points: project.entryPoints };
}

/** A project that a runtime can be built for. @throws StepError when nothing in it can be run */
export function readBuildable(directory: string): MlflowProject {
  const project = readProject(directory);
  if (Object.keys(project.entryPoints).length > 0) return project;
  throw new StepError(
    `${project.file} has no entry points`,
    "add at least: entry_points: {main: {command: python train.py}}",
  );
}
