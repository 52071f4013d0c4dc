import { failure } from "../errors.ts";
import { suggest } from "../nearest.ts";
import type { InputType, WorkflowDefinition } from "./definition.ts";

/** The text of a scalar input in its canonical form, or nothing when it is not of the type. */
export function coerceInput(type: InputType, text: string): string | undefined {
  switch (type) {
    case "integer":
      return /^[+-]?\d+$/.test(text.trim()) ? text.trim() : undefined;
    case "number":
      return text.trim() !== "" && Number.isFinite(Number(text)) ? text.trim() : undefined;
    case "boolean":
      return /^(true|false)$/i.test(text.trim()) ? text.trim().toLowerCase() : undefined;
    default:
      return text;
  }
}

export const isArtifactInput = (type: InputType): type is "codeset" | "model" => type === "codeset" || type === "model";

/**
 * The values of a run's scalar inputs: what was given over the defaults, each of its type.
 * @throws `run.input-unknown`, `run.input-missing`, `run.input-type`
 */
export function bindScalars(
  definition: WorkflowDefinition,
  given: Readonly<Record<string, string>>,
): Record<string, string> {
  const inputs = definition.inputs ?? [];
  const scalars = inputs.filter((input) => !isArtifactInput(input.type));
  for (const name of Object.keys(given)) {
    if (!inputs.some((input) => input.name === name)) {
      const hint = suggest(
        name,
        inputs.map((input) => input.name),
        "inputs",
      );
      throw failure("run.input-unknown", { workflow: definition.name, name, hint });
    }
  }
  return Object.fromEntries(
    scalars.map(({ name, type, default: fallback }) => {
      const text = given[name] ?? fallback;
      if (text === undefined) {
        throw failure("run.input-missing", { workflow: definition.name, name, flag: `--input ${name}=VALUE` });
      }
      const value = coerceInput(type, text);
      if (value === undefined) throw failure("run.input-type", { name, type, value: text });
      return [name, value];
    }),
  );
}
