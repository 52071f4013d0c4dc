import { suggest } from "../nearest.ts";
import type { WorkflowDefinition, WorkflowStep } from "../workflow/definition.ts";
import type { RunnableDescriptor } from "./descriptor.ts";

/** Where a step and the runnable that it names do not fit. The path is below the step. */
export type Mismatch = {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly hint: string;
};

type Ports = RunnableDescriptor["input"];

const names = (ports: Ports): readonly string[] => [
  ...Object.keys(ports?.parameters ?? {}),
  ...Object.keys(ports?.artifacts ?? {}),
];

/**
 * What keeps a step from using a runnable: inputs that it does not know or that are missing, of the wrong sort, outputs that it
 * does not give. A descriptor without inputs, or without outputs, says nothing about them.
 */
export function mismatches(
  step: WorkflowStep,
  descriptor: RunnableDescriptor,
  workflow: Pick<WorkflowDefinition, "inputs">,
): readonly Mismatch[] {
  return [...inputMismatches(step, descriptor, workflow), ...outputMismatches(step, descriptor)];
}

function* inputMismatches(
  step: WorkflowStep,
  { id, input }: RunnableDescriptor,
  workflow: Pick<WorkflowDefinition, "inputs">,
): Iterable<Mismatch> {
  if (!input) return;
  const { parameters = {}, artifacts = {} } = input;
  for (const [index, given] of (step.inputs ?? []).entries()) {
    const path = ["inputs", index, "name"];
    const artifact = artifacts[given.name];
    if (!artifact && !parameters[given.name]) {
      const hint = suggest(given.name, names(input), "its inputs");
      yield { path, message: `runnable "${id}" has no input "${given.name}"`, hint };
    } else if (given.codeset && (!artifact || !["codeset", "code", undefined].includes(artifact.kind))) {
      const what = artifact ? `a ${artifact.kind}` : "a value";
      yield {
        path,
        message: `input "${given.name}" of runnable "${id}" takes ${what}, not a codeset`,
        hint: "give it a value:",
      };
    } else if (!given.codeset && artifact && ["codeset", "code"].includes(artifact.kind ?? "")) {
      yield {
        path,
        message: `input "${given.name}" of runnable "${id}" takes a codeset`,
        hint: "give it codeset: {name: '{{ inputs.… }}', path: …}",
      };
    }
  }
  // inputs of the workflow are known to every step
  const given = new Set([...(step.inputs ?? []), ...(workflow.inputs ?? [])].map(({ name }) => name));
  for (const [name, { optional, defaultValue }] of Object.entries(parameters)) {
    if (optional || defaultValue !== undefined || given.has(name)) continue;
    yield {
      path: ["runnable"],
      message: `runnable "${id}" needs the input "${name}"`,
      hint: `add to the step's inputs: {name: ${name}, value: …}`,
    };
  }
  for (const [name, { optional, kind = "codeset" }] of Object.entries(artifacts)) {
    if (optional || given.has(name)) continue;
    yield {
      path: ["runnable"],
      message: `runnable "${id}" needs the input "${name}", a ${kind}`,
      hint: `add it to the step's inputs`,
    };
  }
}

function* outputMismatches(step: WorkflowStep, { id, output }: RunnableDescriptor): Iterable<Mismatch> {
  if (!output) return;
  const known = names(output);
  for (const [index, { name }] of (step.outputs ?? []).entries()) {
    if (known.includes(name)) continue;
    yield {
      path: ["outputs", index, "name"],
      message: `runnable "${id}" has no output "${name}"`,
      hint: suggest(name, known, "its outputs"),
    };
  }
}
