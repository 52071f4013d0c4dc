import { isExtension, isOutput, literal, substitute } from "../workflow/expression.ts";
import type { StepSpec } from "./spec.ts";
import type { Outputs } from "./state.ts";

/** What step runs gave, by their names. A step run that was skipped gave nothing: an empty record. */
export type KnownOutputs = ReadonlyMap<string, Outputs>;

/** The value of `steps.S.outputs.O`; of a matrix, the values of its step runs as a JSON list. Nothing while it is not known. */
export function outputValue(known: KnownOutputs, step: string, output: string): string | undefined {
  const single = known.get(step);
  if (single) return single[output];
  const list: (string | null)[] = [];
  for (let index = 0; ; index += 1) {
    const one = known.get(`${step}.${index}`);
    if (!one) break;
    list.push(one[output] ?? null);
  }
  return list.length === 0 ? undefined : JSON.stringify(list);
}

/** Replaces references to finished steps by what they gave. */
export function giveOutputs(step: StepSpec, known: KnownOutputs): StepSpec {
  return {
    ...step,
    image: substitute(step.image, (reference) => outputValue(known, reference.step, reference.output)),
    variables: step.variables.map(({ name, value }) => ({
      name,
      value: substitute(value, (reference) =>
        isOutput(reference) ? outputValue(known, reference.step, reference.output) : undefined,
      ),
    })),
  };
}

/** Whether nothing that the step refers to is still to come. */
export const isComplete = (step: StepSpec): boolean =>
  !("unresolved" in literal(step.image)) &&
  step.variables.every(({ value }) => value.every((part) => typeof part === "string" || !isOutput(part)));

/** The configuration of the extensions that a step gets, by the step's own name for each. */
export type ResolvedVariables = Readonly<Record<string, Readonly<Record<string, string>>>>;

/**
 * The image and the variables of a step whose references can all be resolved now.
 * @returns the missing reference when one cannot
 */
export function completeStep(
  step: StepSpec,
  known: KnownOutputs,
  extensions: ResolvedVariables,
): { image: string; variables: Record<string, string> } | { missing: string } {
  const given = giveOutputs(step, known);
  const image = literal(given.image);
  if ("unresolved" in image) return { missing: `${image.unresolved.step}.${image.unresolved.output}` };
  const variables: Record<string, string> = Object.assign({}, ...Object.values(extensions));
  for (const { name, value } of given.variables) {
    const text = literal(
      substitute(value, (reference) =>
        isExtension(reference) ? (extensions[reference.extension]?.[reference.variable] ?? "") : undefined,
      ),
    );
    if ("unresolved" in text) return { missing: `the value of ${name}` };
    variables[name] = text.text;
  }
  return { image: image.text, variables };
}
