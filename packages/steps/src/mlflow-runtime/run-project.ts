import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { activate, EnvironmentStore } from "@fuseml/environments/store";
import { stringify } from "yaml";
import { callArguments, parseArguments, selectEntryPoint } from "../mlflow-project/arguments.ts";
import { plainProject, readProject } from "../mlflow-project/project-file.ts";
import {
  codesetOf,
  flagParameter,
  parameter,
  type StepContext,
  StepError,
  serverClient,
  valueInputs,
  writeOutput,
} from "../step/context.ts";
import { locateArtifact, type ProjectRun } from "./model-location.ts";

/** Parameters of this step: an entry point's parameter of the same name is not filled from them. */
const ownParameters = [
  "mlflow_experiment",
  "mlflow_entrypoint",
  "mlflow_entrypoint_args",
  "mlflow_artifact_path",
  "verbose",
];

/** The step: entry point and arguments → `mlflow run` in the environment → the model's true location, registered with lineage. */
export async function runProject(context: StepContext): Promise<void> {
  const { env, say, workingDirectory } = context;
  const verbose = flagParameter(context, "verbose");
  const project = readProject(workingDirectory);
  const name = parameter(context, "mlflow_entrypoint") ?? "main";
  const entryPoint = selectEntryPoint(project, name);
  const inputs = Object.fromEntries(
    Object.entries(valueInputs(context)).filter(([input]) => !ownParameters.includes(input)),
  );
  const args = callArguments(
    entryPoint,
    name,
    parseArguments(parameter(context, "mlflow_entrypoint_args") ?? ""),
    inputs,
  );
  const codeset = codesetOf(context);
  const experiment =
    parameter(context, "mlflow_experiment") ?? (codeset ? `${codeset.name}-${codeset.project}` : "Default");

  // the environment is made already, and MLflow knows fewer ways of writing the file than its users
  writeFileSync(join(workingDirectory, project.file), stringify(plainProject(project)));
  say(
    `mlflow run, entry point ${name}${Object.entries(args)
      .map(([key, value]) => ` -P ${key}=${value}`)
      .join("")}, experiment ${experiment}`,
  );
  if (verbose)
    say(
      `tracking server: ${env.MLFLOW_TRACKING_URI ?? "(none: a local directory)"}, store: ${env.MLFLOW_S3_ENDPOINT_URL ?? "(none)"}`,
    );
  const run = await inEnvironment(context, {
    directory: workingDirectory,
    entry_point: name,
    parameters: args,
    experiment,
  });
  const metrics = Object.entries(run.metrics);
  if (metrics.length > 0)
    say(`metrics: ${metrics.map(([key, value]) => `${key}=${Number(value.toPrecision(6))}`).join(" ")}`);
  const found = locateArtifact(run, parameter(context, "mlflow_artifact_path"));
  await register(context, codeset, run, found);
  writeOutput(context, "mlflow-model-url", found.url);
}

async function inEnvironment(context: StepContext, request: Readonly<Record<string, unknown>>): Promise<ProjectRun> {
  const { env } = context;
  const fingerprint = env.FUSEML_ENVIRONMENT ?? "";
  const environment = new EnvironmentStore(env.FUSEML_ENVIRONMENTS_DIR ?? "", env.FUSEML_TOOLS_DIR ?? "").find(
    fingerprint,
  );
  if (!environment)
    throw new StepError(`the environment "${fingerprint}" is not on this machine`, "run the builder step again");
  const scratch = mkdtempSync(join(tmpdir(), "fuseml-mlflow-"));
  try {
    const [question, answer] = [join(scratch, "request.json"), join(scratch, "answer.json")];
    writeFileSync(question, JSON.stringify(request));
    const program = fileURLToPath(new URL("run_project.py", import.meta.url));
    const exitCode = await new Promise<number | null>((resolve, reject) => {
      const child = spawn(join(environment.directory, "bin", "python"), [program, question, answer], {
        stdio: ["ignore", "inherit", "inherit"],
        // the token is for this program, not for the user's code
        env: {
          ...activate(environment, env),
          FUSEML_TOKEN: "",
          PYTHONUNBUFFERED: "1",
          MLFLOW_DISABLE_TELEMETRY: "true",
        },
      });
      child.on("error", reject);
      child.on("close", resolve);
    });
    if (exitCode !== 0)
      throw new StepError(`the MLflow project failed with exit code ${exitCode}`, "its own words are above");
    return JSON.parse(readFileSync(answer, "utf8")) as ProjectRun;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The model as an artifact: its lineage is the run that calls. */
async function register(
  context: StepContext,
  codeset: { name: string; project: string } | undefined,
  run: ProjectRun,
  found: { url: string; version: string },
): Promise<void> {
  const client = serverClient(context);
  if (!client || !codeset) return;
  const address = `model://${codeset.project}/${codeset.name}/${found.version}`;
  await client.call("POST /artifacts", {
    body: {
      address,
      location: found.url,
      metadata: {
        format: "mlflow",
        mlflowRun: run.run_id,
        mlflowExperiment: run.experiment_id,
        mlflowVersion: run.mlflow_version,
        metrics: run.metrics,
      },
    },
  });
  context.say(`registered ${address}`);
}
