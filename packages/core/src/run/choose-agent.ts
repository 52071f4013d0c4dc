import { type FuseError, failure } from "../errors.ts";
import type { StepSpec } from "./spec.ts";

/** What an agent says of a step: it can take it, or why it cannot. */
export type Acceptance = { readonly accepted: true } | { readonly accepted: false; readonly reason: Error };

/** An agent as the planner sees it. */
export type PlannableAgent = { readonly name: string; readonly zone?: string; accepts(step: StepSpec): Acceptance };

/** The first agent that takes a step, or why none does. */
export function chooseAgent<Agent extends PlannableAgent>(
  agents: readonly Agent[],
  step: StepSpec,
): { readonly agent: Agent } | { readonly refused: Error } {
  const reasons: Error[] = [];
  for (const agent of agents) {
    const answer = agent.accepts(step);
    if (answer.accepted) return { agent };
    reasons.push(answer.reason);
  }
  // what an agent of the zone that was asked for says, rather than that others are elsewhere
  const telling = reasons.find((reason) => (reason as Partial<FuseError>).code !== "step.zone-unknown");
  if (telling) return { refused: telling };
  const { name, zone } = step;
  if (zone === undefined) return { refused: new Error("there is no workload agent") };
  const known = agents.map((agent) => agent.zone ?? agent.name).join(", ");
  return { refused: failure("step.zone-unknown", { step: name, zone, known }) };
}
