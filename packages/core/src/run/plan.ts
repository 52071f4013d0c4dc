import { failure } from "../errors.ts";
import { holds, parseCondition } from "../workflow/condition.ts";
import { isMatrix, isOutput, type OutputReference, type Reference } from "../workflow/expression.ts";
import { chooseAgent, type PlannableAgent } from "./choose-agent.ts";
import { giveOutputs, isComplete, outputValue } from "./complete.ts";
import { passage, sameGate } from "./gate.ts";
import { inOrder, type StepNode } from "./graph.ts";
import { type Combination, expand } from "./matrix.ts";
import { hasFailed, isOver, openCount, type Picture, type StepRow, type StepsOf } from "./picture.ts";
import { isReusable } from "./reuse.ts";
import { inputValue, type StepSpec, specify } from "./spec.ts";
import type { Gate, RunError, SkipReason } from "./state.ts";

/** A connected part of a run that one agent executes in one go. It holds no secret. */
export type Segment = {
  /** The same for the same run and the same number: submitting it twice is submitting it once. */
  readonly id: string;
  readonly runId: string;
  readonly agent: string;
  readonly steps: readonly StepSpec[];
};

/** Of one run, at most so many step runs are handed to agents at once. */
export const inFlightLimit = 1000;

/** What is to be done for a run now. When anything but `segments` and `closed` is there, it is done first, and planned again. */
export type Decision = {
  readonly skipped: readonly { readonly row: StepRow; readonly reason: SkipReason }[];
  readonly failed: readonly { readonly row: StepRow; readonly error: RunError }[];
  /** Steps without an image that were waiting for approval only, and have it. */
  readonly passed: readonly StepRow[];
  readonly expanded: readonly { readonly step: string; readonly combinations: readonly Combination[] }[];
  /** Steps for which an earlier result is to be looked for. */
  readonly reusable: readonly { readonly row: StepRow; readonly spec: StepSpec }[];
  /** Gates that were found closed and are not recorded yet. */
  readonly closed: readonly { readonly row: StepRow; readonly gate: Gate }[];
  readonly segments: readonly Segment[];
  /** When to plan again although nothing happens. */
  readonly wakeAt: string | undefined;
  /** No agent takes this step. */
  readonly refused: { readonly step: string; readonly reason: Error } | undefined;
};

/**
 * What can be done for a run now. Pure: the same picture gives the same decision, with the same segment ids.
 *
 * A step run can be planned when everything it needs is over or in the same segment. A boundary falls where the agent
 * changes, and before a step about which something must be known first: whether its condition holds, which combinations
 * its matrix has, whether someone lets it pass, whether an earlier result can be taken.
 * Resuming, retrying and swapping are planning: finished steps are over, and the others are planned as they are now.
 */
export function plan(picture: Picture, agents: readonly PlannableAgent[]): Decision {
  const planner = new Planner(picture, agents);
  if (![...picture.steps.values()].some(hasFailed)) planner.run();
  return planner.decision();
}

type OpenSegment = { agent: string; steps: StepSpec[]; included: Map<string, number> };

class Planner {
  private readonly picture: Picture;
  private readonly agents: readonly PlannableAgent[];
  private readonly skipped: { row: StepRow; reason: SkipReason }[] = [];
  private readonly failed: { row: StepRow; error: RunError }[] = [];
  private readonly passed: StepRow[] = [];
  private readonly expanded: { step: string; combinations: readonly Combination[] }[] = [];
  private readonly reusable: { row: StepRow; spec: StepSpec }[] = [];
  private readonly closed: { row: StepRow; gate: Gate }[] = [];
  private readonly open = new Map<string, OpenSegment>();
  private wakeAt: string | undefined;
  private refused: { step: string; reason: Error } | undefined;
  private room: number;

  constructor(picture: Picture, agents: readonly PlannableAgent[]) {
    this.picture = picture;
    this.agents = agents;
    this.room = inFlightLimit - picture.inFlight;
  }

  run(): void {
    for (const node of inOrder(this.picture.graph)) {
      const steps = this.picture.steps.get(node.name);
      if (!steps || steps.free.length === 0) continue;
      const ready = node.needs.every((need) => this.isOver(need));
      if (!ready && !this.joinsOpenSegment(node)) continue;
      const lacking = ready ? node.uses.find((use) => this.wasSkipped(use)) : undefined;
      if (lacking) {
        for (const row of steps.free) this.skipped.push({ row, reason: { type: "input", step: lacking.step } });
        continue;
      }
      if (node.definition.matrix && this.isPlaceholder(steps)) this.expandMatrix(node, steps);
      else for (const row of steps.free) if (!this.consider(node, row, ready)) break;
      if (this.refused) return;
    }
  }

  decision(): Decision {
    const { skipped, failed, passed, expanded, reusable, closed, wakeAt, refused } = this;
    const first = skipped.length + failed.length + passed.length + expanded.length + reusable.length > 0 || refused;
    const segments = [...this.open.values()].map(({ agent, steps }, index) => ({
      id: `${this.picture.runId}.${this.picture.segments + index + 1}`,
      runId: this.picture.runId,
      agent,
      steps,
    }));
    return { skipped, failed, passed, expanded, reusable, closed, segments: first ? [] : segments, wakeAt, refused };
  }

  private isOver(name: string): boolean {
    const steps = this.picture.steps.get(name);
    return steps === undefined || isOver(steps);
  }

  private isPlaceholder({ free, counts }: StepsOf): boolean {
    return free.length === 1 && free[0]?.index === null && (counts.waiting ?? 0) === 1;
  }

  /** All that it needs and that is not over is wholly in one new segment. */
  private joinsOpenSegment(node: StepNode): boolean {
    if (node.plannedOn.some((need) => !this.isOver(need)) || isReusable(node.definition)) return false;
    const pending = node.needs.filter((need) => !this.isOver(need));
    return [...this.open.values()].some((segment) => pending.every((need) => this.isWhollyIn(need, segment)));
  }

  private isWhollyIn(name: string, segment: OpenSegment): boolean {
    const steps = this.picture.steps.get(name);
    return steps !== undefined && !hasFailed(steps) && segment.included.get(name) === openCount(steps);
  }

  /** A step that was skipped gave no outputs, unless by hand: what refers to them cannot run. */
  private wasSkipped({ step, output }: OutputReference): boolean {
    const skipped = this.picture.steps.get(step)?.counts.skipped ?? 0;
    return skipped > 0 && outputValue(this.picture.outputs, step, output) === undefined;
  }

  private lookup(row: StepRow | undefined): (reference: Reference) => string | undefined {
    return (reference) => {
      if (isOutput(reference)) return outputValue(this.picture.outputs, reference.step, reference.output);
      if (isMatrix(reference)) return row?.combination?.[reference.matrix];
      return inputValue(reference, this.picture.pins);
    };
  }

  private expandMatrix(node: StepNode, steps: StepsOf): void {
    const [row] = steps.free;
    if (!row || !node.definition.matrix) return;
    const { when, matrix } = node.definition;
    if (when !== undefined && !when.includes("matrix") && !this.conditionHolds(when, row)) {
      this.skipped.push({ row, reason: { type: "condition", condition: when } });
      return;
    }
    const found = expand(matrix, this.lookup(undefined));
    switch (found.type) {
      case "combinations":
        this.expanded.push({ step: node.name, combinations: found.combinations });
        break;
      case "unknown":
        this.skipped.push({ row, reason: { type: "input", step: node.plannedOn[0] ?? node.name } });
        break;
      case "invalid": {
        const { code, message, hint = "" } = failure("step.matrix-invalid", { step: row.name, reason: found.message });
        this.failed.push({ row, error: { code, message, hint } });
      }
    }
  }

  /** @returns whether there may be room for the step's next step run */
  private consider(node: StepNode, row: StepRow, ready: boolean): boolean {
    const { definition } = node;
    if (definition.when !== undefined && !this.conditionHolds(definition.when, row)) {
      this.skipped.push({ row, reason: { type: "condition", condition: definition.when } });
      return true;
    }
    const passing = passage(definition, row, this.picture);
    if (passing.type === "expired") {
      this.failed.push({ row, error: passing.error });
      return true;
    }
    if (passing.type === "closed") {
      // whoever comes before must be over: what is waited for starts to count then
      if (!ready) return false;
      const present = row.state.status === "waiting" ? row.state.gate : undefined;
      if (!sameGate(present, passing.gate)) this.closed.push({ row, gate: passing.gate });
      if (passing.wakeAt && (!this.wakeAt || passing.wakeAt < this.wakeAt)) this.wakeAt = passing.wakeAt;
      return true;
    }
    if (definition.image === undefined) {
      if (ready) this.passed.push(row);
      return ready;
    }
    const written = specify(definition, this.picture.pins, {
      name: row.name,
      attempt: row.attempt + 1,
      ...(row.combination ? { combination: row.combination } : {}),
    });
    const spec = giveOutputs(written, this.picture.outputs);
    if (isReusable(definition) && row.reuse === null && isComplete(spec)) {
      this.reusable.push({ row, spec });
      return true;
    }
    if (this.room <= 0) return false;
    return this.place(node, spec);
  }

  private conditionHolds(text: string, row: StepRow): boolean {
    const parsed = parseCondition(text);
    if (!parsed.ok) throw new Error(`an unchecked condition reached the planner: ${parsed.message}`);
    return holds(parsed.condition, (reference) => this.lookup(row)(reference) ?? "");
  }

  /** Puts a step run into a new segment of the agent that takes it. */
  private place(node: StepNode, spec: StepSpec): boolean {
    const chosen = chooseAgent(this.agents, spec);
    if ("refused" in chosen) {
      this.refused = { step: spec.name, reason: chosen.refused };
      return false;
    }
    const { agent } = chosen;
    const pending = node.needs.filter((need) => !this.isOver(need));
    const segment = this.open.get(agent.name) ?? { agent: agent.name, steps: [], included: new Map<string, number>() };
    // what it waits for is with another agent: its turn comes when that segment is over
    if (!pending.every((need) => this.isWhollyIn(need, segment))) return false;
    this.open.set(agent.name, segment);
    segment.steps.push({ ...spec, needs: pending });
    segment.included.set(node.name, (segment.included.get(node.name) ?? 0) + 1);
    this.room -= 1;
    return true;
  }
}
