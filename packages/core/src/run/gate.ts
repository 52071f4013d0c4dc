import { durationMs } from "../duration.ts";
import { failure } from "../errors.ts";
import type { WorkflowStep } from "../workflow/definition.ts";
import type { StepRow } from "./picture.ts";
import type { Gate, RunError } from "./state.ts";
import { opensAt } from "./window.ts";

/** Whether a ready step run may start. `wakeAt` is when to look again. */
export type Passage =
  | { readonly type: "open" }
  | { readonly type: "closed"; readonly gate: Gate; readonly wakeAt?: string }
  /** Nobody approved it in time. */
  | { readonly type: "expired"; readonly error: RunError };

const open: Passage = { type: "open" };

/** Looks at everything that a ready step run may have to wait for: the pause before a retry, a person, a time of day. */
export function passage(step: WorkflowStep, row: StepRow, run: { stepwise: boolean; now: string }): Passage {
  const present = row.state.status === "waiting" ? row.state.gate : undefined;
  const { now } = run;
  if (present?.type === "retry" && present.opens > now) {
    return { type: "closed", gate: present, wakeAt: present.opens };
  }
  if (run.stepwise && !row.passes.pause) {
    return { type: "closed", gate: present?.type === "pause" ? present : { type: "pause", since: now } };
  }
  if (step.approval && !row.passes.approval) {
    const gate = present?.type === "approval" ? present : approvalGate(step.approval, now);
    if (gate.until === undefined) return { type: "closed", gate };
    if (gate.until > now) return { type: "closed", gate, wakeAt: gate.until };
    const { code, message, hint } = failure("step.approval-expired", { step: row.name, until: gate.until });
    return { type: "expired", error: { code, message, ...(hint === undefined ? {} : { hint }) } };
  }
  const opens = step.window ? opensAt(step.window, now) : undefined;
  return opens === undefined ? open : { type: "closed", gate: { type: "window", opens }, wakeAt: opens };
}

function approvalGate(approval: NonNullable<WorkflowStep["approval"]>, now: string): Gate & { type: "approval" } {
  const { by, timeout, message } = approval;
  return {
    type: "approval",
    since: now,
    by: by ?? [],
    ...(timeout === undefined ? {} : { until: new Date(Date.parse(now) + durationMs(timeout)).toISOString() }),
    ...(message === undefined ? {} : { message }),
  };
}

/** Whether two gates are the same, so that nothing has to be recorded. */
export const sameGate = (one: Gate | undefined, other: Gate): boolean =>
  one?.type === other.type && JSON.stringify(one) === JSON.stringify(other);
