import { durationMs } from "../duration.ts";
import type { WorkflowStep } from "../workflow/definition.ts";

type Retries = NonNullable<WorkflowStep["retries"]>;

/** The pause before the try after `failures` failed ones, in milliseconds. */
export function backoffMs(retries: Retries, failures: number): number {
  const first = durationMs(retries.backoff);
  return Math.min(durationMs(retries.max), first * retries.factor ** Math.max(0, failures - 1));
}

/**
 * When a failed step is tried again, or nothing when it is not.
 * @param base tries that do not count, because a person had the step run again after them
 */
export function nextTry(
  retries: Retries | undefined,
  { attempt, base, failedAt }: { attempt: number; base: number; failedAt: string },
): string | undefined {
  const failures = attempt - base;
  if (!retries || failures > retries.limit) return undefined;
  return new Date(Date.parse(failedAt) + backoffMs(retries, failures)).toISOString();
}
