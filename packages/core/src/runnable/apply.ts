import type { WorkflowStep } from "../workflow/definition.ts";
import type { RunnableDescriptor } from "./descriptor.ts";

/** Where a runnable writes its outputs when its descriptor does not say. */
const defaultOutputPath = "/tekton/results";

/**
 * The step as its runnable would have it: image, command, arguments and variables of the descriptor, its expressions filled in.
 * What the step says itself wins. `{{inputs.x}}` is the value, or for a codeset its path; `{{outputs.y}}` the file to write.
 */
export function applyRunnable(
  step: WorkflowStep,
  runnable: { image: string; descriptor?: RunnableDescriptor },
): WorkflowStep {
  const { image, descriptor } = runnable;
  if (!descriptor) return { ...step, image };
  const { entrypoint, args, env = {} } = descriptor.container;
  const fill = (text: string): string =>
    text.replaceAll(/\{\{\s*(inputs|outputs)\.([A-Za-z0-9_-]+)\s*\}\}/g, (whole, of: string, name: string) =>
      of === "outputs"
        ? `${descriptor.defaultOutputPath ?? defaultOutputPath}/${name}`
        : (inputOf(step, descriptor, name) ?? whole),
    );
  const own = new Set((step.env ?? []).map(({ name }) => name));
  const added = [
    ...Object.entries(env).map(([name, value]) => ({ name, value: fill(value) })),
    ...defaults(step, descriptor),
  ].filter(({ name }) => !own.has(name));
  return {
    ...step,
    image,
    ...(entrypoint === undefined || step.entrypoint ? {} : { entrypoint: words(entrypoint).map(fill) }),
    ...(args === undefined || step.args ? {} : { args: args.map(fill) }),
    ...(added.length + (step.env?.length ?? 0) > 0 ? { env: [...added, ...(step.env ?? [])] } : {}),
  };
}

/** Parameters with a default that nobody gave reach the step like those that somebody did. */
function defaults(step: WorkflowStep, { input }: RunnableDescriptor): { name: string; value: string }[] {
  const given = new Set((step.inputs ?? []).map(({ name }) => name));
  return Object.entries(input?.parameters ?? {}).flatMap(([name, { defaultValue }]) =>
    defaultValue === undefined || given.has(name)
      ? []
      : [{ name: `FUSEML_${name.toUpperCase().replaceAll("-", "_")}`, value: String(defaultValue) }],
  );
}

function inputOf(step: WorkflowStep, { input }: RunnableDescriptor, name: string): string | undefined {
  const given = step.inputs?.find((one) => one.name === name);
  const fallback = input?.parameters?.[name]?.defaultValue;
  return given?.codeset?.path ?? given?.value ?? (fallback === undefined ? undefined : String(fallback));
}

/** A command line in words: quotes keep words together, expressions are one. */
export function words(text: string): string[] {
  return [...text.matchAll(/(?:"[^"]*"|'[^']*'|\{\{[^}]*\}\}|[^\s"'{]|\{(?!\{))+/g)].map(([word]) =>
    word.replaceAll(/"([^"]*)"|'([^']*)'/g, (_, double?: string, single?: string) => double ?? single ?? ""),
  );
}
