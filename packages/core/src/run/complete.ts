import { isExtension, isOutput, literal, substitute } from "../workflow/expression.ts";
import type { StepSpec, StepValue } from "./spec.ts";
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
  const give = (value: StepValue): StepValue =>
    substitute(value, (reference) =>
      isOutput(reference) ? outputValue(known, reference.step, reference.output) : undefined,
    );
  return {
    ...step,
    ...(step.command ? { command: step.command.map(give) } : {}),
    ...(step.args ? { args: step.args.map(give) } : {}),
    image: substitute(step.image, (reference) => outputValue(known, reference.step, reference.output)),
    variables: step.variables.map(({ name, value }) => ({ name, value: give(value) })),
  };
}

/** Whether nothing that the step refers to is still to come. */
export const isComplete = (step: StepSpec): boolean =>
  !("unresolved" in literal(step.image)) &&
  [...step.variables.map(({ value }) => value), ...(step.command ?? []), ...(step.args ?? [])].every((value) =>
    value.every((part) => typeof part === "string" || !isOutput(part)),
  );

/** The configuration of the extensions that a step gets, by the step's own name for each. */
export type ResolvedVariables = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** What a step runs and sees, in full. It holds secrets. */
export type CompleteStep = {
  readonly image: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
};

/**
 * The image and the variables of a step whose references can all be resolved now.
 * @returns the missing reference when one cannot
 */
export function completeStep(
  step: StepSpec,
  known: KnownOutputs,
  extensions: ResolvedVariables,
): CompleteStep | { missing: string } {
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
  const line: { command?: string[]; args?: string[] } = {};
  for (const part of ["command", "args"] as const) {
    const words = given[part]?.map(literal);
    const missing = words?.find((word) => "unresolved" in word);
    if (missing) return { missing: "a part of the command" };
    if (words) line[part] = words.map((word) => ("text" in word ? word.text : ""));
  }
  return { image: image.text, variables, ...line };
}
