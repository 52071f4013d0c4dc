import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { failure } from "@fuseml/core/errors";
import { files } from "../segments/step-directory.ts";
import type { StepJob } from "../segments/step-engine.ts";
import { stepVariables } from "../segments/step-variables.ts";
import { layOutCode } from "../segments/working-copy.ts";
import type { HostEngineParts } from "./engine.ts";

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
export async function prepareStep(job: StepJob, parts: HostEngineParts): Promise<PreparedStep> {
  const { step, directory } = job;
  const results = join(directory, files.results);
  const work = join(directory, files.work);
  if (existsSync(directory)) for (const left of [results, work]) rmSync(left, { recursive: true, force: true });
  mkdirSync(results, { recursive: true, mode: 0o700 });
  mkdirSync(work);
  const { image, env } = stepVariables(job, { results, namespace: parts.namespace });
  const recipe = parts.recipes.find(image);
  if (!recipe) throw failure("host.image-without-recipe", { image, step: step.name });
  const first = await layOutCode(step, work, parts.code);
  return {
    command: recipe.command,
    cwd: first === undefined ? work : join(work, first),
    env: { ...recipe.env, ...env },
  };
}
