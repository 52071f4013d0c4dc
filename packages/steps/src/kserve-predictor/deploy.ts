import { setTimeout as pause } from "node:timers/promises";
import { parseModelDescription } from "@fuseml/core/serving/model-signature";
import { type StepContext, StepError, serverClient, writeOutput } from "../step/context.ts";
import { chooseLayout, type Layout } from "./engine.ts";
import { type InferenceService, Kubernetes } from "./kubernetes.ts";
import { ModelStore } from "./model-store.ts";
import { type PredictorParameters, predictorParameters } from "./parameters.ts";

const readyWithinMs = 15 * 60_000;
const pollMs = 300;

/** The step: detect the format, convert the layout where needed, deploy, wait until the new model answers, register the application. */
export async function deployPredictor(context: StepContext): Promise<void> {
  const { env, say } = context;
  const parameters = predictorParameters(context);
  const store = new ModelStore(parameters.modelUrl, env);
  const model = parseModelDescription(await store.read("MLmodel"));
  const kubernetes = new Kubernetes(env);
  const layout = chooseLayout(parameters.engine, model, parameters.appName, await kubernetes.servedFormats());
  say(`model flavors: ${model.flavors.join(", ")}; predictor: ${layout.engine}`);
  const storageUri = layout.conversion
    ? await store.convert(layout.conversion.into, layout.conversion.copies)
    : store.url;
  if (layout.conversion) say(`converted for ${layout.engine}: ${storageUri}`);

  await grantStorage(kubernetes, parameters.appName, env);
  const path = `/apis/serving.kserve.io/v1beta1/namespaces/${kubernetes.namespace}/inferenceservices/${parameters.appName}`;
  const wanted = inferenceService(parameters, layout, storageUri, kubernetes.namespace, env);
  if (parameters.verbose) say(JSON.stringify(wanted, null, 2));
  const applied = (await kubernetes.apply(path, wanted)) as InferenceService;
  say(`inference service ${parameters.appName} applied; waiting for the model to answer`);
  const base = await untilServing(kubernetes, path, applied.metadata?.generation ?? 0, say);
  const url = `${base}/v2/models/${parameters.appName}/infer`;
  await registerApplication(context, parameters, layout, url, kubernetes.namespace);
  writeOutput(context, "prediction-url", url);
}

/** Credentials of the store by KServe's convention: a secret, and a service account that has it. */
async function grantStorage(kubernetes: Kubernetes, name: string, env: NodeJS.ProcessEnv): Promise<void> {
  if (!env.AWS_ACCESS_KEY_ID || !env.AWS_SECRET_ACCESS_KEY) return;
  const endpoint = env.MLFLOW_S3_ENDPOINT_URL ? new URL(env.MLFLOW_S3_ENDPOINT_URL) : undefined;
  const secret = `${name}-storage`;
  const of = `/api/v1/namespaces/${kubernetes.namespace}`;
  await kubernetes.apply(`${of}/secrets/${secret}`, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: secret,
      namespace: kubernetes.namespace,
      annotations: {
        ...(endpoint
          ? {
              "serving.kserve.io/s3-endpoint": endpoint.host,
              "serving.kserve.io/s3-usehttps": endpoint.protocol === "https:" ? "1" : "0",
            }
          : {}),
        "serving.kserve.io/s3-region": env.AWS_DEFAULT_REGION ?? "us-east-1",
      },
    },
    type: "Opaque",
    stringData: { AWS_ACCESS_KEY_ID: env.AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: env.AWS_SECRET_ACCESS_KEY },
  });
  await kubernetes.apply(`${of}/serviceaccounts/${name}`, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name, namespace: kubernetes.namespace },
    secrets: [{ name: secret }],
  });
}

function inferenceService(
  parameters: PredictorParameters,
  layout: Layout,
  storageUri: string,
  namespace: string,
  env: NodeJS.ProcessEnv,
): Record<string, unknown> {
  const { appName, runtimeVersion, limits, modelUrl } = parameters;
  return {
    apiVersion: "serving.kserve.io/v1beta1",
    kind: "InferenceService",
    metadata: {
      name: appName,
      namespace,
      labels: {
        "fuseml/app-name": appName,
        ...(env.FUSEML_ENV_WORKFLOW_NAME ? { "fuseml/workflow": env.FUSEML_ENV_WORKFLOW_NAME } : {}),
      },
      annotations: { "fuseml.io/model-source": modelUrl },
    },
    spec: {
      predictor: {
        ...(env.AWS_ACCESS_KEY_ID ? { serviceAccountName: appName } : {}),
        model: {
          modelFormat: { name: layout.format, ...(layout.formatVersion ? { version: layout.formatVersion } : {}) },
          protocolVersion: "v2",
          storageUri,
          ...(runtimeVersion ? { runtimeVersion } : {}),
          ...(Object.keys(limits).length > 0 ? { resources: { limits, requests: limits } } : {}),
        },
      },
    },
  };
}

/** Waits until this generation serves. @returns the service's URL @throws StepError with the platform's own words */
async function untilServing(
  kubernetes: Kubernetes,
  path: string,
  generation: number,
  say: (line: string) => void,
): Promise<string> {
  const deadline = performance.now() + readyWithinMs;
  let told = "";
  while (performance.now() < deadline) {
    const { status } = (await kubernetes.get(path)) as InferenceService;
    const transition = status?.modelStatus?.transitionStatus ?? "";
    const ready = status?.conditions?.find((condition) => condition.type === "Ready");
    if ((status?.observedGeneration ?? 0) >= generation) {
      if (transition === "UpToDate" && ready?.status === "True" && status?.url) return status.url;
      if (/^(BlockedByFailedLoad|InvalidSpec)$/.test(transition)) {
        throw new StepError(
          `the model could not be loaded: ${status?.modelStatus?.lastFailureInfo?.message ?? ready?.message ?? "no reason given"}`,
          "what served before goes on serving",
        );
      }
    }
    if (transition && transition !== told) say(`model: ${transition}`);
    told = transition;
    await pause(pollMs);
  }
  throw new StepError(`the inference service was not ready within ${readyWithinMs / 60_000} minutes (${told})`);
}

async function registerApplication(
  context: StepContext,
  parameters: PredictorParameters,
  layout: Layout,
  url: string,
  namespace: string,
): Promise<void> {
  const client = serverClient(context);
  if (!client) return;
  const workflow = context.env.FUSEML_ENV_WORKFLOW_NAME ?? "";
  await client.call("POST /applications", {
    body: {
      name: parameters.appName,
      type: "predictor",
      description: `Application generated by ${workflow} workflow: ${layout.engine} predictor of ${parameters.modelUrl}`,
      url,
      workflow,
      k8s_namespace: namespace,
      k8s_resources: [{ name: parameters.appName, kind: "InferenceService" }],
      model: parameters.modelUrl,
    },
  });
  context.say(`application ${parameters.appName} registered`);
}
