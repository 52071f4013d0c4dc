/** The mlflow-builder step on the host: makes the runtime environment of an MLflow project and tells its name. */
import { runStep } from "../step/context.ts";
import { buildEnvironment } from "./build.ts";

await runStep(buildEnvironment);
