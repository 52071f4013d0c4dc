/** The kserve-predictor step: serves a model with KServe's API, whoever answers it, and registers the application. */
import { runStep } from "../step/context.ts";
import { deployPredictor } from "./deploy.ts";

await runStep(deployPredictor);
