import { suggest } from "@fuseml/core/nearest";
import { StepError } from "../step/context.ts";
import type { EntryPoint, MlflowProject, Parameter } from "./project-file.ts";

/** The entry point of this name. @throws StepError that names those there are */
export function selectEntryPoint(project: MlflowProject, name: string): EntryPoint {
  const found = project.entryPoints[name];
  if (found) return found;
  const names = Object.keys(project.entryPoints);
  throw new StepError(`${project.file} has no entry point "${name}"`, suggest(name, names, "entry points"));
}

/**
 * Reads `a=1,b=2` and `a=1 b=2`. A comma or space inside a value stays: only what is followed by `name=` separates.
 * @throws StepError
 */
export function parseArguments(text: string): Record<string, string> {
  const parts = text
    .trim()
    .split(/[,\s]+(?=[A-Za-z_][\w-]*=)/)
    .filter(Boolean);
  return Object.fromEntries(
    parts.map((part) => {
      const match = /^([A-Za-z_][\w-]*)=(.*)$/s.exec(part.trim());
      if (!match?.[1])
        throw new StepError(
          `mlflow_entrypoint_args: "${part}" is not name=value`,
          "write for example: epochs=2,batch_size=64",
        );
      return [match[1], unquote((match[2] ?? "").replace(/,$/, ""))];
    }),
  );
}

const unquote = (text: string): string => (/^(['"]).*\1$/s.test(text) ? text.slice(1, -1) : text);

/**
 * What an entry point is called with: explicit arguments over workflow inputs of the same name; defaults are left to MLflow.
 * @throws StepError for an argument it lacks, a value of the wrong type, a parameter without a value
 */
export function callArguments(
  entryPoint: EntryPoint,
  name: string,
  explicit: Readonly<Record<string, string>>,
  inputs: Readonly<Record<string, string>>,
): Record<string, string> {
  const known = Object.keys(entryPoint.parameters);
  const unknown = Object.keys(explicit).find((argument) => !known.includes(argument));
  if (unknown !== undefined) {
    throw new StepError(
      `entry point "${name}" has no parameter "${unknown}"`,
      suggest(unknown, known, "its parameters"),
    );
  }
  const chosen: Record<string, string> = {};
  for (const [parameter, declared] of Object.entries(entryPoint.parameters)) {
    const value = explicit[parameter] ?? inputs[parameter] ?? inputs[parameter.replaceAll("_", "-")];
    if (value !== undefined) {
      checkType(parameter, declared, value);
      chosen[parameter] = value;
    } else if (declared.default === undefined) {
      throw new StepError(
        `parameter "${parameter}" of entry point "${name}" has no default and no value was given`,
        `give the workflow an input named ${parameter}, or set mlflow_entrypoint_args to ${parameter}=VALUE`,
      );
    }
  }
  return chosen;
}

function checkType(name: string, { type }: Parameter, value: string): void {
  const isRight =
    type === "float"
      ? value.trim() !== "" && Number.isFinite(Number(value))
      : type === "int"
        ? /^[+-]?\d+$/.test(value.trim())
        : true;
  if (!isRight) throw new StepError(`parameter "${name}" is of type ${type}, and "${value}" is not`);
}
