import { parseCondition } from "../workflow/condition.ts";
import type { WorkflowDefinition, WorkflowStep } from "../workflow/definition.ts";
import { isOutput, type OutputReference, parseTemplate, type Reference } from "../workflow/expression.ts";

/** A step of a definition, and what it waits for. Steps are named as they are written; a matrix is one node. */
export type StepNode = {
  readonly name: string;
  readonly definition: WorkflowStep;
  /** Steps that must be over before. */
  readonly needs: readonly string[];
  /** The outputs that its image, values or environment refer to. */
  readonly uses: readonly OutputReference[];
  /** Steps whose outputs must be known before it can be planned at all: those that its condition or its matrix refer to. */
  readonly plannedOn: readonly string[];
  /** Whether the combinations of its matrix depend on outputs. */
  readonly hasOpenMatrix: boolean;
};

/** The steps in the order of their definition. */
export type StepGraph = ReadonlyMap<string, StepNode>;

const outputsInText = (text: string | undefined): OutputReference[] => {
  const parsed = text === undefined ? undefined : parseTemplate(text);
  return parsed?.ok ? parsed.references.map((located) => located.reference).filter(isOutput) : [];
};
const stepsOf = (references: readonly Reference[]): string[] => references.filter(isOutput).map(({ step }) => step);

/** The texts of a step that may refer to outputs and are completed when it starts. */
const textsOf = (step: WorkflowStep): (string | undefined)[] => [
  step.image,
  ...(step.inputs ?? []).map((input) => input.value),
  ...(step.env ?? []).map((entry) => entry.value),
  ...(step.entrypoint ?? []),
  ...(step.args ?? []),
];

const dimensionTexts = (step: WorkflowStep): string[] =>
  Object.values(step.matrix ?? {}).flatMap((values) => (typeof values === "string" ? [values] : values));

/** What each step waits for: the step before it in the order `listed`, and in any order what it names or refers to. */
export function stepGraph(definition: WorkflowDefinition): StepGraph {
  const nodes = new Map<string, StepNode>();
  let before: string | undefined;
  for (const step of definition.steps) {
    const uses = textsOf(step).flatMap(outputsInText);
    const condition = step.when === undefined ? undefined : parseCondition(step.when);
    const matrixOn = stepsOf(dimensionTexts(step).flatMap(outputsInText));
    const plannedOn = new Set([...(condition?.ok ? stepsOf(condition.references) : []), ...matrixOn]);
    const needs = new Set([...stepsOf(uses), ...plannedOn, ...(step.after ?? [])]);
    if (definition.order !== "dataflow" && before !== undefined) needs.add(before);
    nodes.set(step.name, {
      name: step.name,
      definition: step.zone === undefined && definition.zone !== undefined ? { ...step, zone: definition.zone } : step,
      needs: [...needs],
      uses,
      plannedOn: [...plannedOn],
      hasOpenMatrix: matrixOn.length > 0,
    });
    before = step.name;
  }
  return nodes;
}

/** A step and everything that waits for it, directly or not. */
export function downstream(graph: StepGraph, from: string): ReadonlySet<string> {
  const found = new Set([from]);
  for (let size = 0; size < found.size; ) {
    size = found.size;
    for (const node of graph.values()) if (node.needs.some((need) => found.has(need))) found.add(node.name);
  }
  return found;
}

/** The steps that wait for each other in a circle, or nothing when there is none. */
export function circle(graph: StepGraph): readonly string[] | undefined {
  const over = new Set<string>();
  const visit = (name: string, path: readonly string[]): readonly string[] | undefined => {
    const at = path.indexOf(name);
    if (at >= 0) return [...path.slice(at), name];
    if (over.has(name)) return undefined;
    for (const need of graph.get(name)?.needs ?? []) {
      const found = visit(need, [...path, name]);
      if (found) return found;
    }
    over.add(name);
    return undefined;
  };
  for (const name of graph.keys()) {
    const found = visit(name, []);
    if (found) return found;
  }
  return undefined;
}

/** Steps in an order in which each stands behind what it needs. */
export function inOrder(graph: StepGraph): readonly StepNode[] {
  const sorted: StepNode[] = [];
  const seen = new Set<string>();
  const visit = (node: StepNode): void => {
    if (seen.has(node.name)) return;
    seen.add(node.name);
    for (const need of node.needs) {
      const before = graph.get(need);
      if (before) visit(before);
    }
    sorted.push(node);
  };
  for (const node of graph.values()) visit(node);
  return sorted;
}
