/** The mlflow-runtime step on the host: runs an MLflow project in its environment and tells where the model is. */
import { runStep } from "../step/context.ts";
import { runProject } from "./run-project.ts";

await runStep(runProject);
