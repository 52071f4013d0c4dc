import { ToolFailure } from "@fuseml/environments/command";
import { EnvironmentStore } from "@fuseml/environments/store";
import { readBuildable } from "../mlflow-project/project-file.ts";
import { projectRequirements } from "../mlflow-project/requirements.ts";
import { parameter, type StepContext, StepError, writeOutput } from "../step/context.ts";
import { builderParameters } from "./parameters.ts";

/** The registry name of environments of this machine. */
const hostRegistry = "fuseml.local";

/** Parameters that describe an image; an environment of this machine has no use for them. */
const ofImages = ["registry", "pull_registry", "miniconda_version", "base_image", "compressed_caching"];

/** On the host: project file → requirements → content-addressed environment → its name as output. */
export async function buildEnvironment(context: StepContext): Promise<void> {
  const { env, say, workingDirectory } = context;
  const { repository, verbose, strict } = builderParameters(context);
  for (const name of ofImages) {
    if (parameter(context, name) !== undefined)
      say(`parameter "${name}" is about container images: without effect on the host agent`);
  }
  const project = readBuildable(workingDirectory);
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
export const progress = (say: (line: string) => void) => (line: string) => {
  if (/^(Resolved|Prepared|Installed|Using|WARNING|warning|fetching|another)/.test(line.trim())) say(line.trim());
};
