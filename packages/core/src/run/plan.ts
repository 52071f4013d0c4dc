import { isExtension, isOutput, literal, substitute } from "../workflow/expression.ts";
import type { StepSpec } from "./spec.ts";
import type { Outputs, StepState } from "./state.ts";

/** A connected part of a run that one agent executes in one go. It holds no secret. */
export type Segment = {
  /** The same for the same run and the same first step: submitting it twice is submitting it once. */
  readonly id: string;
  readonly runId: string;
  readonly agent: string;
  readonly steps: readonly StepSpec[];
};

/** What an agent says of a step: it can take it, or why it cannot. */
export type Acceptance = { readonly accepted: true } | { readonly accepted: false; readonly reason: Error };

/** An agent as the planner sees it. */
export type PlannableAgent = { readonly name: string; accepts(step: StepSpec): Acceptance };

export type Plan =
  | { readonly ok: true; readonly segments: readonly Segment[] }
  /** No agent takes this step. `reason` is the last agent's. */
  | { readonly ok: false; readonly step: string; readonly reason: Error };

/**
 * The segments that are still to be run, in order. Pure: the same input gives the same segments with the same ids.
 * References to finished steps become literals; references inside a segment stay, and the agent resolves them.
 * A boundary falls where the agent changes.
 */
export function plan(input: {
  readonly runId: string;
  readonly steps: readonly StepSpec[];
  readonly states: ReadonlyMap<string, StepState>;
  readonly agents: readonly PlannableAgent[];
}): Plan {
  const finished = finishedOutputs(input.states);
  const segments: { id: string; runId: string; agent: string; steps: StepSpec[] }[] = [];
  for (const step of input.steps) {
    if (finished.has(step.name)) continue;
    const given = giveOutputs(step, finished);
    let reason: Error = new Error("there is no workload agent");
    const agent = input.agents.find((candidate) => {
      const answer = candidate.accepts(given);
      if (!answer.accepted) reason = answer.reason;
      return answer.accepted;
    });
    if (!agent) return { ok: false, step: step.name, reason };
    const last = segments.at(-1);
    if (last?.agent === agent.name) last.steps.push(given);
    else segments.push({ id: `${input.runId}.${step.name}`, runId: input.runId, agent: agent.name, steps: [given] });
  }
  return { ok: true, segments };
}

export function finishedOutputs(states: ReadonlyMap<string, StepState>): ReadonlyMap<string, Outputs> {
  return new Map(
    [...states].flatMap(([name, state]) => (state.status === "succeeded" ? [[name, state.outputs] as const] : [])),
  );
}

/** Replaces references to finished steps by what they gave. */
export function giveOutputs(step: StepSpec, finished: ReadonlyMap<string, Outputs>): StepSpec {
  return {
    ...step,
    image: substitute(step.image, (reference) => finished.get(reference.step)?.[reference.output]),
    variables: step.variables.map(({ name, value }) => ({
      name,
      value: substitute(value, (reference) =>
        isOutput(reference) ? finished.get(reference.step)?.[reference.output] : undefined,
      ),
    })),
  };
}

/** The configuration of the extensions that a step gets, by the step's own name for each. */
export type ResolvedVariables = Readonly<Record<string, Readonly<Record<string, string>>>>;

/**
 * The image and the variables of a step whose references can all be resolved now.
 * @returns the missing reference when one cannot
 */
export function completeStep(
  step: StepSpec,
  finished: ReadonlyMap<string, Outputs>,
  extensions: ResolvedVariables,
): { image: string; variables: Record<string, string> } | { missing: string } {
  const given = giveOutputs(step, finished);
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
  return { image: image.text, variables };
}
