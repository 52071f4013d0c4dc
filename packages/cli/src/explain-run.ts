import { describeGate } from "./describe-gate.ts";
import { describeCause, type RunDetail } from "./follow-run.ts";

type Step = RunDetail["steps"][number];
type HistoryEntry = { type: string; time: string; data: Record<string, unknown> };

/** The status of a step, and what it waits for or why it did not run. */
export function describeStep(step: Step): string {
  const { waitsFor, status } = step;
  if (waitsFor) return `Waiting (${describeGate(waitsFor)})`;
  if (step.reused) return "Reused";
  const tries = step.attempts.length > 0 || step.attempt > 1 ? ` (try ${step.attempt})` : "";
  return `${status}${tries}`;
}

function whySkipped(run: RunDetail, { name, skipped }: Step): string {
  switch (skipped?.type) {
    case "condition":
      return `, because this did not hold: ${String(skipped.condition)}`;
    case "input":
      return `, because it uses outputs of ${String(skipped.step)}, which was skipped`;
    case "person":
      return `, by ${String(skipped.by)}`;
  }
  const before = run.steps
    .slice(
      0,
      run.steps.findIndex((step) => step.name === name),
    )
    .findLast((step) => step.status === "Failed" || step.status === "Cancelled");
  return before
    ? `, because step ${before.name} ${before.status === "Failed" ? "failed" : "was cancelled"}`
    : `, because the run ${run.status === "Cancelled" ? "was cancelled" : "failed"} before it`;
}

function explainStep(run: RunDetail, step: Step): string[] {
  const lines = [`step ${step.name}: ${step.status}${step.status === "Skipped" ? whySkipped(run, step) : ""}`];
  const matrix = Object.entries(step.matrix ?? {}).map(([name, value]) => `${name}=${value}`);
  if (matrix.length > 0) lines.push(`  matrix ${matrix.join(" ")}`);
  if (step.waitsFor) lines.push(`  waits for ${describeGate(step.waitsFor)}`);
  if (step.image) lines.push(`  image: ${step.image}`);
  if (step.reused) lines.push(`  reused: ${step.reused.run} made this result in step ${step.reused.step}`);
  if (step.notReused) lines.push(`  ran, because no earlier result fits: ${step.notReused}`);
  for (const { attempt, error } of step.attempts)
    lines.push(`  try ${attempt} failed: ${error.message} [${error.code}]`);
  if (step.approval) {
    const { by, at, comment } = step.approval;
    lines.push(`  approved by ${by} at ${at}${comment ? `: ${comment}` : ""}`);
  }
  for (const [name, choice] of Object.entries(step.extensions)) {
    const credentials = choice.credentials ? `, credentials ${choice.credentials}` : "";
    lines.push(
      `  extension ${name} → ${choice.extension}/${choice.service} at ${choice.endpoint || "(no endpoint)"}${credentials}`,
    );
  }
  if (step.error) {
    lines.push(`  ${step.error.message} [${step.error.code}]`, ...(step.error.hint ? [`  ${step.error.hint}`] : []));
  }
  return lines;
}

/** Why a run ran, on what, with what, and what happened. */
export function explainRun(run: RunDetail, history: readonly HistoryEntry[]): string {
  const edited = run.edited ? ", edited for this run" : "";
  return [
    `${run.name} ran version ${run.workflowVersion} of ${run.workflowRef}${edited}: ${describeCause(run)}.`,
    ...run.inputs.map(({ input, value }) => `  input ${input.name} was ${value}`),
    ...run.steps.flatMap((step) => explainStep(run, step)),
    "history:",
    ...history.map(({ time, type, data }) => {
      const step = typeof data.step === "string" ? ` ${data.step}` : "";
      const by = typeof data.by === "string" ? ` by ${data.by}` : "";
      return `  ${time}  ${type}${step}${by}`;
    }),
  ].join("\n");
}
