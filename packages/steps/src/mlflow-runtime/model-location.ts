import { StepError } from "../step/context.ts";

/** What `run_project.py` answers. */
export type ProjectRun = {
  readonly run_id: string;
  readonly experiment_id: string;
  readonly artifact_uri: string;
  readonly metrics: Readonly<Record<string, number>>;
  /** Logged models of MLflow 3, newest last. */
  readonly models: readonly { readonly id: string; readonly name: string; readonly location: string }[];
  /** The top level of the run's artifact directory. */
  readonly artifacts: readonly { readonly path: string; readonly directory: boolean }[];
  readonly mlflow_version: string;
};

export type FoundArtifact = {
  readonly url: string /** MLflow's id of the model, or of the run. */;
  readonly version: string;
};

/**
 * Where the artifact is that the step returns. MLflow 3 keeps logged models outside the run's artifact directory, so a
 * model of the asked name comes first, then a path below the run, then, unless a path was asked for, the only model there is.
 * @throws StepError that says what the run has logged
 */
export function locateArtifact(run: ProjectRun, asked: string | undefined): FoundArtifact {
  const path = (asked ?? "model").replace(/^\/+|\/+$/g, "");
  const named = run.models.findLast((model) => model.name === path);
  if (named) return { url: named.location, version: named.id };
  const [top = ""] = path.split("/");
  const inModel = run.models.findLast((model) => model.name === top);
  if (inModel && path !== top) return { url: `${inModel.location}${path.slice(top.length)}`, version: inModel.id };
  if (path === "") return { url: run.artifact_uri, version: run.run_id };
  if (run.artifacts.some((artifact) => artifact.path === top))
    return { url: `${run.artifact_uri}/${path}`, version: run.run_id };
  const [only, another] = run.models;
  if (asked === undefined && only && !another) return { url: only.location, version: only.id };
  const logged = [
    ...run.models.map((model) => `model ${model.name}`),
    ...run.artifacts.map((artifact) => artifact.path),
  ];
  throw new StepError(
    `the MLflow run ${run.run_id} has logged nothing at "${path}"`,
    logged.length > 0
      ? `it has logged: ${logged.join(", ")}; set mlflow_artifact_path`
      : 'the training script must log a model, for example: mlflow.sklearn.log_model(model, name="model")',
  );
}
