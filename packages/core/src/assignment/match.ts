import picomatch from "picomatch";
import { type ArtifactAddress, formatAddress } from "../artifact/address.ts";
import { accepts, exactly, parsePattern } from "../artifact/pattern.ts";
import type { WorkflowDefinition } from "../workflow/definition.ts";

/** A workflow attached to a project, its artifact inputs bound to patterns and its scalar inputs to values. */
export type Assignment = {
  readonly id: string;
  readonly project: string;
  /** Input name → pattern (`code://*`, `code://p/c`). */
  readonly bindings: Readonly<Record<string, string>>;
};

/** A new artifact version, as match sees it. */
export type Published = {
  readonly address: ArtifactAddress;
  readonly labels: readonly string[];
  /** The paths that differ from the version before; absent when there is none before. */
  readonly changed?: readonly string[];
};

export type Match =
  | {
      readonly starts: true /** The artifact inputs, pinned. */;
      readonly pins: Readonly<Record<string, ArtifactAddress>>;
      readonly key: string;
    }
  | { readonly starts: false; readonly reason: string };

/**
 * Whether publishing an artifact starts a run of an assignment, and with which pinned inputs.
 * `head` gives the present version of what the other inputs are bound to.
 * The key is the same for the same assignment and pins: a run with a known key is not started again.
 */
export function match(
  published: Published,
  assignment: Assignment,
  definition: WorkflowDefinition,
  head: (kind: ArtifactAddress["kind"], project: string, name: string) => ArtifactAddress | undefined,
): Match {
  const no = (reason: string): Match => ({ starts: false, reason });
  const inputs = (definition.inputs ?? []).filter((input) => input.type === "codeset" || input.type === "model");
  const taking = inputs.filter((input) => {
    const binding = assignment.bindings[input.name];
    return binding !== undefined && accepts(parsePattern(binding), published.address);
  });
  if (taking.length === 0) return no(`no input is bound to ${formatAddress(published.address)}`);
  const wanting = taking.filter((input) => (input.labels ?? []).every((label) => published.labels.includes(label)));
  if (wanting.length === 0) return no("it lacks a label that the input asks for");
  const touched = wanting.filter((input) => touches(input.changes, published.changed));
  if (touched.length === 0) return no("nothing that the input watches has changed");

  const pins: Record<string, ArtifactAddress> = {};
  for (const input of inputs) {
    if (wanting.includes(input)) {
      pins[input.name] = published.address;
      continue;
    }
    const binding = assignment.bindings[input.name];
    const one = binding === undefined ? undefined : exactly(parsePattern(binding));
    const present = one && head(input.type === "model" ? "model" : "code", one.project, one.name);
    if (!present) return no(`input "${input.name}" has nothing to be bound to yet`);
    pins[input.name] = present;
  }
  return { starts: true, pins, key: runKey(assignment.id, pins) };
}

const touches = (globs: readonly string[] | undefined, changed: readonly string[] | undefined): boolean =>
  !globs ||
  globs.length === 0 ||
  !changed ||
  changed.some((path) => picomatch.isMatch(path, [...globs], { dot: true }));

/** What makes an automatic run the same run: the assignment and the pins, whatever their order. */
export const runKey = (assignmentId: string, pins: Readonly<Record<string, ArtifactAddress>>): string =>
  [
    assignmentId,
    ...Object.keys(pins)
      .sort()
      .map((name) => `${name}=${formatAddress(pins[name] as ArtifactAddress)}`),
  ].join(" ");
