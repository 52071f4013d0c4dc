/** The mlflow-builder step: makes the runtime of an MLflow project, and tells its name. */
import { runStep } from "../step/context.ts";
import { buildEnvironment } from "./build-environment.ts";
import { buildRuntimeImage } from "./build-image.ts";

// the host agent says where environments are kept: there, an environment is the runtime; elsewhere it is an image
await runStep(process.env.FUSEML_ENVIRONMENTS_DIR === undefined ? buildRuntimeImage : buildEnvironment);
