import { type ArtifactAddress, formatAddress } from "../artifact/address.ts";
import type { ExtensionRequirement, WorkflowDefinition, WorkflowStep } from "../workflow/definition.ts";
import {
  type ExtensionReference,
  isInput,
  type OutputReference,
  parseTemplate,
  type Reference,
  substitute,
  type Template,
} from "../workflow/expression.ts";

/** The inputs of a run, pinned: they never change, whatever is pushed meanwhile. */
export type PinnedInputs = {
  readonly codesets: Readonly<Record<string, ArtifactAddress>>;
  /** Model inputs: the address, and where the contents are. */
  readonly models: Readonly<Record<string, { readonly address: ArtifactAddress; readonly location: string }>>;
  readonly values: Readonly<Record<string, string>>;
};

/** A value that the agent completes when the step starts. */
export type StepValue = Template<OutputReference | ExtensionReference>;

/** What an agent is told about one step: no input expression is left in it, and no secret is ever in it. */
export type StepSpec = {
  readonly name: string;
  readonly image: Template<OutputReference>;
  /** In the order in which they apply: a later one of the same name wins. */
  readonly variables: readonly { readonly name: string; readonly value: StepValue }[];
  readonly codesets: readonly { readonly input: string; readonly address: ArtifactAddress; readonly path: string }[];
  readonly outputs: readonly string[];
  readonly extensions: readonly ExtensionRequirement[];
  readonly resources?: WorkflowStep["resources"];
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

/** The steps of a checked definition with the pinned inputs filled in. */
export function pinSteps(definition: WorkflowDefinition, pins: PinnedInputs): readonly StepSpec[] {
  const lookup = (reference: Reference): string | undefined => {
    if (!isInput(reference)) return undefined;
    const pinned = pins.codesets[reference.input] ?? pins.models[reference.input]?.address;
    if (pinned && reference.property) return pinned[reference.property];
    return pins.models[reference.input]?.location ?? (pinned ? formatAddress(pinned) : pins.values[reference.input]);
  };
  const fill = (text: string): StepValue => {
    const parsed = parseTemplate(text);
    if (!parsed.ok) throw new Error(`an unchecked definition reached the planner: ${parsed.error.message}`);
    const filled = substitute<Reference>(parsed.template, lookup);
    const left = filled.find((part) => typeof part !== "string" && isInput(part));
    if (left) throw new Error(`input "${JSON.stringify(left)}" has no pinned value`);
    return filled as StepValue;
  };
  // inputs of the workflow are known to every step, as the seeds say; a step's own of the same name wins
  const shared = Object.entries(pins.values).map(([name, value]) => ({ name, value: value === "" ? [] : [value] }));
  return definition.steps.map((step) => ({
    name: step.name,
    image: fill(step.image) as Template<OutputReference>,
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
    ...(step.resources ? { resources: step.resources } : {}),
  }));
}
