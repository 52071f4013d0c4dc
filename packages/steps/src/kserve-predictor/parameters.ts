import { randomBytes } from "node:crypto";
import { suggest } from "@fuseml/core/nearest";
import { parse } from "yaml";
import { codesetOf, flagParameter, parameter, type StepContext, StepError } from "../step/context.ts";
import { type Engine, engines } from "./engine.ts";

export type PredictorParameters = {
  readonly modelUrl: string;
  readonly engine: Engine | "auto";
  /** A name that Kubernetes takes. */
  readonly appName: string;
  readonly runtimeVersion: string | undefined;
  readonly limits: Readonly<Record<string, string>>;
  readonly verbose: boolean;
};

/** Reads and checks every parameter of the step. @throws StepError for one that is missing or wrong */
export function predictorParameters(context: StepContext): PredictorParameters {
  const modelUrl = parameter(context, "model");
  if (modelUrl === undefined)
    throw new StepError(
      'the input "model" is missing',
      'add it: {name: model, value: "{{ steps.trainer.outputs.mlflow-model-url }}"}',
    );
  if (!modelUrl.startsWith("s3://")) {
    throw new StepError(
      `the model is at ${modelUrl}; only S3 stores are supported`,
      "let the trainer use the mlflow-store extension, so that models go to S3",
    );
  }
  const engine = parameter(context, "predictor") ?? "auto";
  const known = ["auto", ...engines];
  if (!known.includes(engine))
    throw new StepError(`parameter "predictor" is "${engine}"`, suggest(engine, known, "predictors"));
  const runtimeVersion = parameter(context, "runtime_version");
  if (runtimeVersion !== undefined && !/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(runtimeVersion)) {
    throw new StepError(`parameter "runtime_version" is "${runtimeVersion}", which is not a version`);
  }
  return {
    modelUrl: modelUrl.replace(/\/+$/, ""),
    engine: engine as Engine | "auto",
    appName: kubernetesName(parameter(context, "app_name") ?? defaultName(context)),
    runtimeVersion,
    limits: resourceLimits(parameter(context, "resources_limits")),
    verbose: flagParameter(context, "verbose"),
  };
}

/** `<project>-<codeset>-<workflow>`; without a codeset a random end, as the seeds warn. */
function defaultName(context: StepContext): string {
  const workflow = context.env.FUSEML_ENV_WORKFLOW_NAME ?? "workflow";
  const codeset = codesetOf(context);
  if (codeset) return `${codeset.project}-${codeset.name}-${workflow}`;
  const name = `${workflow}-${randomBytes(3).toString("hex")}`;
  context.say(
    `WARNING: no app_name and no codeset input: the application gets the random name ${name}, and each run will make another`,
  );
  return name;
}

/** Lower case, digits and dashes, at most 63. */
export function kubernetesName(text: string): string {
  const name = text
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 63)
    .replace(/-+$/, "");
  if (name === "") throw new StepError(`parameter "app_name" is "${text}"`, "use letters, digits and dashes");
  return name;
}

/** `{nvidia.com/gpu: 1}` as Kubernetes resource limits. */
export function resourceLimits(text: string | undefined): Record<string, string> {
  if (text === undefined) return {};
  let raw: unknown;
  try {
    raw = parse(text);
  } catch {
    // told below, with an example
    raw = undefined;
  }
  const wrong = new StepError(
    `parameter "resources_limits" is "${text}"`,
    "write for example: {cpu: 1, memory: 2Gi, nvidia.com/gpu: 1}",
  );
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) throw wrong;
  return Object.fromEntries(
    Object.entries(raw).map(([name, value]) => {
      if (!/^[a-z0-9./-]+$/i.test(name) || !/^\d+(\.\d+)?([numkKMGTPE]i?|[KMGTPE]i)?$/.test(String(value))) throw wrong;
      return [name, String(value)];
    }),
  );
}
