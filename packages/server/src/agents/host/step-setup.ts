import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { failure } from "@fuseml/core/errors";
import { completeStep, type KnownOutputs } from "@fuseml/core/run/complete";
import type { StepSpec } from "@fuseml/core/run/spec";
import { inputLimitBytes, type SegmentContext } from "../../runs/workload-agent.ts";
import type { HostAgentParts } from "./parts.ts";
import { files } from "./step-directory.ts";

export type PreparedStep = {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Record<string, string>;
};

/**
 * Makes the directory of a step ready: working copies of its codesets, a place for its outputs, its variables.
 * What an interrupted try left is removed; whoever has begun the step already is not disturbed.
 * @throws `host.image-without-recipe`, `step.input-too-large`
 */
export async function prepareStep(
  step: StepSpec,
  runId: string,
  directory: string,
  known: KnownOutputs,
  context: SegmentContext,
  parts: HostAgentParts,
): Promise<PreparedStep> {
  const results = join(directory, files.results);
  const work = join(directory, files.work);
  if (existsSync(directory)) for (const left of [results, work]) rmSync(left, { recursive: true, force: true });
  mkdirSync(results, { recursive: true, mode: 0o700 });
  mkdirSync(work);
  const extensions = context.extensions[step.name]?.variables ?? {};
  const complete = completeStep(step, known, extensions);
  if ("missing" in complete) throw new Error(`${complete.missing} is not known`);
  for (const [variable, value] of Object.entries(complete.variables)) {
    const size = Buffer.byteLength(value);
    if (size > inputLimitBytes) {
      throw failure("step.input-too-large", { step: step.name, variable, size, limit: inputLimitBytes });
    }
  }
  const recipe = parts.recipes.find(complete.image);
  if (!recipe) throw failure("host.image-without-recipe", { image: complete.image, step: step.name });
  let cwd = work;
  for (const [index, codeset] of step.codesets.entries()) {
    const target = join(work, ...codeset.path.split("/").filter((part) => part && part !== ".."));
    await parts.code.checkout(codeset.address.project, codeset.address.name, codeset.address.version, target);
    markOrigin(target, codeset.address);
    if (index === 0) cwd = target;
  }
  const only = step.outputs.length === 1 ? step.outputs[0] : undefined;
  const env: Record<string, string> = {
    ...recipe.env,
    FUSEML_ENV_WORKFLOW_NAME: context.workflow,
    FUSEML_ENV_WORKFLOW_NAMESPACE: parts.namespace,
    FUSEML_RUN_ID: runId,
    FUSEML_STEP_NAME: step.name,
    FUSEML_SERVER_URL: context.serverUrl,
    FUSEML_TOKEN: context.token,
    FUSEML_RESULTS_DIR: results,
    ...(only ? { TASK_RESULT: only } : {}),
    ...complete.variables,
  };
  return { command: recipe.command, cwd, env };
}

/** The files by which upstream's images know where their code comes from; git does not see them. */
function markOrigin(directory: string, address: { project: string; name: string }): void {
  mkdirSync(join(directory, ".fuseml"), { recursive: true });
  writeFileSync(join(directory, ".fuseml", "_project"), address.name);
  writeFileSync(join(directory, ".fuseml", "_org"), address.project);
  const exclude = join(directory, ".git", "info", "exclude");
  if (existsSync(join(directory, ".git", "info"))) writeFileSync(exclude, ".fuseml/\n", { flag: "a" });
}
