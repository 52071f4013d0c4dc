import { type ArtifactAddress, formatAddress } from "../artifact/address.ts";
import { durationMs } from "../duration.ts";
import type { ExtensionRequirement, WorkflowStep } from "../workflow/definition.ts";
import {
  type ExtensionReference,
  isInput,
  isMatrix,
  type OutputReference,
  parseTemplate,
  type Reference,
  substitute,
  type Template,
} from "../workflow/expression.ts";
import type { Combination } from "./matrix.ts";

/** The inputs of a run, pinned: they never change, whatever is pushed meanwhile. */
export type PinnedInputs = {
  readonly codesets: Readonly<Record<string, ArtifactAddress>>;
  /** Model inputs: the address, and where the contents are. */
  readonly models: Readonly<Record<string, { readonly address: ArtifactAddress; readonly location: string }>>;
  readonly values: Readonly<Record<string, string>>;
};

/** A value that the agent completes when the step starts. */
export type StepValue = Template<OutputReference | ExtensionReference>;

/** What an agent is told about one step run: no input expression is left in it, and no secret is ever in it. */
export type StepSpec = {
  /** Of the step run: unlike any other of its run. */
  readonly name: string;
  /** The step of the definition. A matrix makes several step runs of one step. */
  readonly step: string;
  /** Which try this is, from 1. */
  readonly attempt: number;
  /** Steps of the same segment that must have succeeded before this one starts. Others are over already. */
  readonly needs: readonly string[];
  readonly image: Template<OutputReference>;
  /** In the order in which they apply: a later one of the same name wins. */
  readonly variables: readonly { readonly name: string; readonly value: StepValue }[];
  readonly codesets: readonly { readonly input: string; readonly address: ArtifactAddress; readonly path: string }[];
  readonly outputs: readonly string[];
  readonly extensions: readonly ExtensionRequirement[];
  /** In place of what the image runs, and what it is given: a runnable says so. */
  readonly command?: readonly StepValue[];
  readonly args?: readonly StepValue[];
  readonly resources?: WorkflowStep["resources"];
  readonly zone?: string;
  readonly timeoutMs?: number;
};

/** `mlflow-codeset` is the variable `FUSEML_MLFLOW_CODESET`. */
export const variableName = (input: string): string => `FUSEML_${input.toUpperCase().replaceAll("-", "_")}`;

/** Holds the names of the value inputs that a step sees, so that a program can tell them from other variables. */
export const inputNamesVariable = "FUSEML_INPUTS";

const inputNames = (step: WorkflowStep, pins: PinnedInputs): StepValue => {
  const own = (step.inputs ?? []).filter((input) => input.value !== undefined).map((input) => input.name);
  const names = [...new Set([...Object.keys(pins.values), ...own])].join(",");
  return names === "" ? [] : [names];
};

/** The value of an input in an expression, when the reference is one. */
export function inputValue(reference: Reference, pins: PinnedInputs): string | undefined {
  if (!isInput(reference)) return undefined;
  const pinned = pins.codesets[reference.input] ?? pins.models[reference.input]?.address;
  if (pinned && reference.property) return pinned[reference.property];
  return pins.models[reference.input]?.location ?? (pinned ? formatAddress(pinned) : pins.values[reference.input]);
}

/** A step run of a checked definition, the pinned inputs and the values of its matrix filled in. */
export function specify(
  step: WorkflowStep,
  pins: PinnedInputs,
  run: { readonly name: string; readonly attempt: number; readonly combination?: Combination },
): StepSpec {
  const lookup = (reference: Reference): string | undefined =>
    isMatrix(reference) ? run.combination?.[reference.matrix] : inputValue(reference, pins);
  const fill = (text: string): StepValue => {
    const parsed = parseTemplate(text);
    if (!parsed.ok) throw new Error(`an unchecked definition reached the planner: ${parsed.error.message}`);
    const filled = substitute<Reference>(parsed.template, lookup);
    const left = filled.find((part) => typeof part !== "string" && (isInput(part) || isMatrix(part)));
    if (left) throw new Error(`"${JSON.stringify(left)}" has no pinned value`);
    return filled as StepValue;
  };
  // inputs of the workflow are known to every step, as the seeds say; a step's own of the same name wins
  const shared = Object.entries(pins.values).map(([name, value]) => ({ name, value: value === "" ? [] : [value] }));
  return {
    name: run.name,
    step: step.name,
    attempt: run.attempt,
    needs: [],
    image: fill(step.image ?? "") as Template<OutputReference>,
    variables: [
      ...shared.map(({ name, value }) => ({ name: variableName(name), value })),
      { name: inputNamesVariable, value: inputNames(step, pins) },
      ...(step.inputs ?? []).flatMap((input) =>
        input.value === undefined ? [] : [{ name: variableName(input.name), value: fill(input.value) }],
      ),
      ...(step.env ?? []).map((entry) => ({ name: entry.name, value: fill(entry.value) })),
    ],
    codesets: (step.inputs ?? []).flatMap((input) => {
      if (!input.codeset) return [];
      const parsed = parseTemplate(input.codeset.name);
      const reference = parsed.ok ? parsed.template[0] : undefined;
      const bound = typeof reference === "object" && isInput(reference) ? reference.input : "";
      const address = pins.codesets[bound];
      if (!address) throw new Error(`codeset input "${bound}" is not bound`);
      return [{ input: input.name, address, path: input.codeset.path }];
    }),
    outputs: (step.outputs ?? []).map((output) => output.name),
    extensions: step.extensions ?? [],
    ...(step.entrypoint ? { command: step.entrypoint.map(fill) } : {}),
    ...(step.args ? { args: step.args.map(fill) } : {}),
    ...(step.resources ? { resources: step.resources } : {}),
    ...(step.zone === undefined ? {} : { zone: step.zone }),
    ...(step.timeout === undefined ? {} : { timeoutMs: durationMs(step.timeout) }),
  };
}

/** Segments that an earlier version stored: their steps ran one after the other, in their first and only try. */
export function readStoredSteps(steps: readonly Partial<StepSpec>[]): readonly StepSpec[] {
  return steps.map((step, index) => {
    const name = step.name ?? "";
    const before = steps[index - 1]?.name;
    return { step: name, attempt: 1, needs: before === undefined ? [] : [before], ...step } as StepSpec;
  });
}
