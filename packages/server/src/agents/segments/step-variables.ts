import { failure } from "@fuseml/core/errors";
import { completeStep } from "@fuseml/core/run/complete";
import { inputLimitBytes } from "../../runs/workload-agent.ts";
import type { StepJob } from "./step-engine.ts";

/**
 * The image of a step and the variables that it sees, complete: it holds secrets.
 * @param of where its outputs go, as the step sees it
 * @throws `step.input-too-large`
 */
export function stepVariables(
  { step, runId, known, context }: StepJob,
  of: { readonly results: string; readonly namespace: string; readonly serverUrl?: string },
): { image: string; env: Record<string, string>; command?: readonly string[]; args?: readonly string[] } {
  const complete = completeStep(step, known, context.extensions[step.name]?.variables ?? {});
  if ("missing" in complete) throw new Error(`${complete.missing} is not known`);
  for (const [variable, value] of Object.entries(complete.variables)) {
    const size = Buffer.byteLength(value);
    if (size > inputLimitBytes)
      throw failure("step.input-too-large", { step: step.name, variable, size, limit: inputLimitBytes });
  }
  const only = step.outputs.length === 1 ? step.outputs[0] : undefined;
  const env: Record<string, string> = {
    FUSEML_ENV_WORKFLOW_NAME: context.workflow,
    FUSEML_ENV_WORKFLOW_NAMESPACE: of.namespace,
    FUSEML_RUN_ID: runId,
    FUSEML_STEP_NAME: step.name,
    FUSEML_SERVER_URL: of.serverUrl ?? context.serverUrl,
    FUSEML_TOKEN: context.token,
    FUSEML_RESULTS_DIR: of.results,
    ...(only ? { TASK_RESULT: only } : {}),
    ...complete.variables,
  };
  const { image, command, args } = complete;
  return { image, env, ...(command ? { command } : {}), ...(args ? { args } : {}) };
}
