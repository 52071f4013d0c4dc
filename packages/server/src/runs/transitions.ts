import type { StepGraph } from "@fuseml/core/run/graph";
import { nextTry } from "@fuseml/core/run/retry";
import { type Gate, onStepEvent, type RunError, type SkipReason, type StepEvent } from "@fuseml/core/run/state";
import type { StoredAttempt, StoredStep } from "./records.ts";

/** What of a run's history is written with a transition. */
export type HistoryEntry = { readonly type: string; readonly data: Readonly<Record<string, unknown>> };

/** A step run after a transition, and what is written with it. */
export type StepChange = {
  readonly step: StoredStep;
  readonly entry: HistoryEntry;
  /** The try that failed, when another one follows. */
  readonly failedTry?: StoredAttempt;
};

/** A step run after an agent's word, or nothing when the word changes nothing. */
export function afterEvent(graph: StepGraph, step: StoredStep, event: StepEvent): StepChange | undefined {
  const retries = graph.get(step.step)?.definition.retries;
  const { state, changed } = onStepEvent(step.state, event, {
    tried: step.attempt,
    retryAt: (attempt, failedAt) => nextTry(retries, { attempt, base: step.base, failedAt }),
  });
  if (!changed) return undefined;
  const { type, ...data } = event;
  const retry = state.status === "waiting" && state.gate?.type === "retry" ? state.gate : undefined;
  const next = { ...step, state, attempt: Math.max(step.attempt, event.attempt) };
  if (!retry) return { step: next, entry: { type: `step.${type}`, data } };
  return {
    step: { ...next, segmentId: null },
    entry: { type: "step.failed", data: { ...data, retryAt: retry.opens } },
    failedTry: {
      runId: step.runId,
      name: step.name,
      attempt: event.attempt,
      segmentId: step.segmentId ?? "",
      started: step.state.status === "running" ? step.state.since : event.at,
      ended: event.at,
      error: retry.error,
    },
  };
}

export const skippedStep = (step: StoredStep, reason: SkipReason, at: string): StepChange => ({
  step: { ...step, state: { status: "skipped", ended: at, reason } },
  entry: { type: "step.skipped", data: { step: step.name, reason } },
});

export const failedStep = (step: StoredStep, error: RunError, at: string): StepChange => ({
  step: { ...step, state: { status: "failed", attempt: step.attempt, since: at, ended: at, error } },
  entry: { type: "step.failed", data: { step: step.name, attempt: step.attempt, at, error } },
});

/** A step without an image has nothing to do but to be approved. */
export const passedStep = (step: StoredStep, at: string): StepChange => ({
  step: { ...step, state: { status: "succeeded", attempt: step.attempt, since: at, ended: at, outputs: {} } },
  entry: { type: "step.succeeded", data: { step: step.name, attempt: step.attempt, at, outputs: {} } },
});

export const gatedStep = (step: StoredStep, gate: Gate): StepChange => ({
  step: { ...step, state: { status: "waiting", gate } },
  entry: { type: "step.waiting", data: { step: step.name, gate } },
});

/** An earlier result is taken. */
export function reusedStep(
  step: StoredStep,
  key: string,
  from: { readonly run: string; readonly step: string; readonly outputs: Readonly<Record<string, string>> },
  at: string,
): StepChange {
  const reused = { run: from.run, step: from.step };
  const { outputs } = from;
  return {
    step: {
      ...step,
      reuse: { key, from: reused },
      state: { status: "succeeded", attempt: step.attempt, since: at, ended: at, outputs, reused },
    },
    entry: { type: "step.reused", data: { step: step.name, at, outputs, reused } },
  };
}
