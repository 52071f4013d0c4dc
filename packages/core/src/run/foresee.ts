import { holds, parseCondition } from "../workflow/condition.ts";
import { formatTemplate, isMatrix, isOutput, type Reference } from "../workflow/expression.ts";
import { chooseAgent, type PlannableAgent } from "./choose-agent.ts";
import { giveOutputs, isComplete, outputValue } from "./complete.ts";
import { inOrder, type StepGraph, type StepNode } from "./graph.ts";
import { type Combination, expand } from "./matrix.ts";
import { isReusable } from "./reuse.ts";
import { inputValue, type PinnedInputs, type StepSpec, specify } from "./spec.ts";
import type { Outputs } from "./state.ts";

/** What a step of a run would do. */
export type ForeseenStep = {
  readonly name: string;
  /** The image as far as it is known. */
  readonly image: string;
  /** From 1, in the order in which they start; absent for a step that is not handed to an agent. */
  readonly segment?: number;
  readonly agent?: string;
  readonly needs: readonly string[];
  /** How many step runs its matrix makes; absent without one, null while that is not known. */
  readonly stepRuns?: number | null;
  /** In words: what it waits for, why it may be skipped, what is decided later. */
  readonly notes: readonly string[];
  readonly reuse?: Lookup;
  /** No agent takes it. */
  readonly refused?: Error;
  readonly spec: StepSpec;
};

/** What an earlier result of a complete step is. */
export type Lookup =
  | { readonly hit: true; readonly run: string; readonly outputs: Outputs }
  | { readonly hit: false; readonly because: string };

/**
 * What a run would do, as far as it can be known before: segments, agents, gates, and what would be reused.
 * @param find looks for an earlier result of a complete step
 */
export async function foresee(
  graph: StepGraph,
  pins: PinnedInputs,
  agents: readonly PlannableAgent[],
  find: (step: StepSpec) => Promise<Lookup>,
): Promise<readonly ForeseenStep[]> {
  const foresight = new Foresight(pins, agents, find);
  for (const node of inOrder(graph)) await foresight.step(node);
  return foresight.steps;
}

class Foresight {
  readonly steps: ForeseenStep[] = [];
  private readonly pins: PinnedInputs;
  private readonly agents: readonly PlannableAgent[];
  private readonly find: (step: StepSpec) => Promise<Lookup>;
  private readonly known = new Map<string, Outputs>();
  private readonly settled = new Set<string>();
  private readonly segments: { agent: string; steps: Set<string> }[] = [];

  constructor(pins: PinnedInputs, agents: readonly PlannableAgent[], find: (step: StepSpec) => Promise<Lookup>) {
    this.pins = pins;
    this.agents = agents;
    this.find = find;
  }

  async step(node: StepNode): Promise<void> {
    const { definition, name } = node;
    const { notes, skipped, boundary } = this.gates(node);
    const { stepRuns, combination, unknown } = this.matrix(node);
    const run = { name, attempt: 1, ...(combination ? { combination } : {}) };
    const spec = giveOutputs(specify(definition, this.pins, run), this.known);
    const base = { name, image: formatTemplate(spec.image), needs: node.needs, notes, spec, ...stepRuns };
    if (skipped || definition.image === undefined) {
      // what comes behind an approval is not in the segment of what comes before
      if (skipped) this.settled.add(name);
      this.steps.push(base);
      return;
    }
    const ready = node.needs.every((need) => this.settled.has(need));
    const reusable = isReusable(definition);
    const reuse = reusable && ready && isComplete(spec) ? await this.find(spec) : undefined;
    if (reusable && !reuse) notes.push("whether an earlier result fits is decided when its inputs are known");
    if (reuse?.hit) {
      this.known.set(name, reuse.outputs);
      this.settled.add(name);
      this.steps.push({ ...base, reuse });
      return;
    }
    const chosen = chooseAgent(this.agents, spec);
    if ("refused" in chosen) {
      this.steps.push({ ...base, refused: chosen.refused });
      return;
    }
    const { agent } = chosen;
    const alone = boundary || unknown || (reusable && !ready);
    const segment = this.place(node, agent.name, alone);
    this.steps.push({ ...base, agent: agent.name, segment, ...(reuse ? { reuse } : {}) });
  }

  private gates({ definition, plannedOn }: StepNode): { notes: string[]; skipped: boolean; boundary: boolean } {
    const notes: string[] = [];
    const { approval, window, retries, timeout, when } = definition;
    if (approval) notes.push(`waits for approval${approval.by ? ` by ${approval.by.join(" or ")}` : ""}`);
    if (window) notes.push(`starts between ${window.from} and ${window.to} (${window.timezone})`);
    if (retries && retries.limit > 0) notes.push(`is tried up to ${retries.limit + 1} times`);
    if (timeout !== undefined) notes.push(`is ended after ${timeout}`);
    let skipped = false;
    if (when !== undefined) {
      const parsed = parseCondition(when);
      const decided = plannedOn.every((step) => this.known.has(step));
      if (!parsed.ok || !decided) notes.push(`runs when ${when}`);
      else {
        skipped = !holds(parsed.condition, (reference) => this.lookup(reference) ?? "");
        notes.push(skipped ? `is skipped: not (${when})` : `runs, because ${when}`);
      }
    }
    return { notes, skipped, boundary: approval !== undefined || window !== undefined || plannedOn.length > 0 };
  }

  private matrix({ definition }: StepNode): {
    stepRuns: { stepRuns?: number | null };
    combination: Combination | undefined;
    unknown: boolean;
  } {
    if (!definition.matrix) return { stepRuns: {}, combination: undefined, unknown: false };
    const found = expand(definition.matrix, (reference) => this.lookup(reference));
    if (found.type === "combinations" && found.combinations[0]) {
      const [combination] = found.combinations;
      return { stepRuns: { stepRuns: found.combinations.length }, combination, unknown: false };
    }
    const combination = Object.fromEntries(Object.keys(definition.matrix).map((name) => [name, `<${name}>`]));
    return { stepRuns: { stepRuns: null }, combination, unknown: true };
  }

  private lookup(reference: Reference): string | undefined {
    if (isOutput(reference)) return outputValue(this.known, reference.step, reference.output);
    return isMatrix(reference) ? undefined : inputValue(reference, this.pins);
  }

  /** The segment that a step would be in: that of what it waits for, or a new one. */
  private place(node: StepNode, agent: string, alone: boolean): number {
    const pending = node.needs.filter((need) => !this.settled.has(need));
    const joins = (segment: { agent: string; steps: Set<string> }): boolean =>
      segment.agent === agent && pending.every((need) => segment.steps.has(need));
    const at = alone ? -1 : this.segments.findLastIndex(joins);
    if (at >= 0) {
      this.segments[at]?.steps.add(node.name);
      return at + 1;
    }
    this.segments.push({ agent, steps: new Set([node.name]) });
    return this.segments.length;
  }
}
