import { formatAddress } from "../artifact/address.ts";
import type { WorkflowStep } from "../workflow/definition.ts";
import { formatTemplate } from "../workflow/expression.ts";
import type { StepSpec } from "./spec.ts";

/** Everything that a step's result depends on, each part under a name that a person understands. No secret is in it. */
export type ReuseParts = Readonly<Record<string, string>>;

/** Whether a step makes an image: what it declares, or how its own image is named, says so. */
export const isBuilder = (step: WorkflowStep): boolean =>
  (step.outputs ?? []).some((output) => output.image !== undefined) ||
  /(^|\/)[^/]*-builder(:[^/]*)?$/.test(step.image ?? "");

/** Whether an earlier result of the step may be taken: as it says, or when it is a builder. */
export const isReusable = (step: WorkflowStep): boolean => step.image !== undefined && (step.cache ?? isBuilder(step));

/** What is known of a step's surroundings beside its specification. */
export type Surroundings = {
  /** Of what runs: an image digest, or of a host recipe. */
  readonly imageDigest: string;
  /** For each codeset of the step, by its path: the digest of the tree, which commits of equal contents share. */
  readonly codeTrees: Readonly<Record<string, string>>;
  /** For each extension, by the step's name for it: which records it got, and when they last changed. */
  readonly extensions: Readonly<Record<string, string>>;
};

/** The parts of a complete step's key. */
export function reuseParts(step: StepSpec, around: Surroundings): ReuseParts {
  const parts: Record<string, string> = { image: around.imageDigest };
  for (const { path, address } of step.codesets) {
    parts[`code at ${path}`] = around.codeTrees[path] ?? formatAddress(address);
  }
  for (const { name, value } of step.variables) parts[`variable ${name}`] = formatTemplate(value);
  for (const [name, identity] of Object.entries(around.extensions)) parts[`extension ${name}`] = identity;
  if (step.command) parts.command = JSON.stringify(step.command.map(formatTemplate));
  if (step.args) parts.arguments = JSON.stringify(step.args.map(formatTemplate));
  parts.outputs = [...step.outputs].sort().join(",");
  return parts;
}

/** The names of the parts that two keys differ in. */
export function differingParts(before: ReuseParts, now: ReuseParts): readonly string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...names].filter((name) => before[name] !== now[name]).sort();
}

/** The parts in one text, the same for the same parts in any order: what is digested to the key. */
export const canonicalParts = (parts: ReuseParts): string =>
  JSON.stringify(Object.entries(parts).sort(([one], [other]) => (one < other ? -1 : 1)));
