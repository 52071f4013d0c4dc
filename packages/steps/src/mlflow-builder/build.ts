import { ToolFailure } from "@fuseml/environments/command";
import { EnvironmentStore } from "@fuseml/environments/store";
import { readProject } from "../mlflow-project/project-file.ts";
import { projectRequirements } from "../mlflow-project/requirements.ts";
import { flagParameter, parameter, type StepContext, StepError, writeOutput } from "../step/context.ts";

/** The registry name of environments of this machine. */
const hostRegistry = "fuseml.local";

/** Parameters of the seeds that describe an image build; on the host they are checked, and have no effect. */
const imageParameters: Readonly<Record<string, { pattern: RegExp; like: string }>> = {
  registry: { pattern: /^[A-Za-z0-9.-]+(:\d+)?$/, like: "a host name with or without a port" },
  pull_registry: { pattern: /^[A-Za-z0-9.-]+(:\d+)?$/, like: "a host name with or without a port" },
  miniconda_version: { pattern: /^[A-Za-z0-9._-]+$/, like: "an image tag" },
  base_image: { pattern: /^[a-z0-9][A-Za-z0-9._/:@-]*$/, like: "an image name" },
};

export type BuilderParameters = { readonly repository: string; readonly verbose: boolean; readonly strict: boolean };

/** Reads and checks every parameter of the step. @throws StepError for one that is wrong */
export function builderParameters(context: StepContext): BuilderParameters {
  for (const [name, { pattern, like }] of Object.entries(imageParameters)) {
    const value = parameter(context, name);
    if (value === undefined) continue;
    if (!pattern.test(value)) throw new StepError(`parameter "${name}" is "${value}", which is not ${like}`);
    context.say(`parameter "${name}" is about container images: without effect on the host agent`);
  }
  if (parameter(context, "compressed_caching") !== undefined) {
    flagParameter(context, "compressed_caching");
    context.say('parameter "compressed_caching" is about container images: without effect on the host agent');
  }
  const repository = parameter(context, "repository") ?? "mlflow/trainer";
  if (!/^[a-z0-9]+([._/-][a-z0-9]+)*$/.test(repository)) {
    throw new StepError(
      `parameter "repository" is "${repository}", which is not a repository name`,
      "use lower case letters, digits, -, _, . and /",
    );
  }
  return { repository, verbose: flagParameter(context, "verbose"), strict: flagParameter(context, "strict") };
}

/** The step: project file → requirements → content-addressed environment → its name as output. */
export async function buildEnvironment(context: StepContext): Promise<void> {
  const { env, say, workingDirectory } = context;
  const { repository, verbose, strict } = builderParameters(context);
  const project = readProject(workingDirectory);
  if (Object.keys(project.entryPoints).length === 0) {
    throw new StepError(
      `${project.file} has no entry points`,
      "add at least: entry_points: {main: {command: python train.py}}",
    );
  }
  const { request, from, warnings } = projectRequirements(project, workingDirectory, { strict });
  for (const warning of warnings) say(`WARNING: ${warning}`);
  say(`requirements from ${from}: ${request.requirements.join(", ") || "(a conda environment)"}`);
  const directory = env.FUSEML_ENVIRONMENTS_DIR;
  if (!directory)
    throw new StepError("FUSEML_ENVIRONMENTS_DIR is not set", "this program is run by FuseML's host agent");
  const store = new EnvironmentStore(directory, env.FUSEML_TOOLS_DIR ?? directory);
  try {
    const { environment, made } = await store.ensure(request, { strict, say: verbose ? say : progress(say) });
    for (const warning of environment.warnings) if (!made) say(`WARNING: ${warning}`);
    say(
      made
        ? `environment ${environment.fingerprint} made (Python ${environment.python})`
        : `environment ${environment.fingerprint} is there: the requirements did not change`,
    );
    writeOutput(context, "image", `${hostRegistry}/${repository}:${environment.fingerprint}`);
  } catch (error) {
    if (!(error instanceof ToolFailure)) throw error;
    throw new StepError(
      `the requirements of ${from} could not be installed:\n${error.output}`,
      "correct the requirements and push again; nothing half-made was kept",
    );
  }
}

/** Of the installer's words only the summary lines. */
const progress = (say: (line: string) => void) => (line: string) => {
  if (/^(Resolved|Prepared|Installed|Using|WARNING|warning|fetching|another)/.test(line.trim())) say(line.trim());
};
