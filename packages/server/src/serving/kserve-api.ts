import { failure } from "@fuseml/core/errors";
import { z } from "zod";
import { route } from "../platform/http/route.ts";
import { type InferenceServices, type KubernetesObject, servedFormats } from "./inference-services.ts";
import type { KubernetesObjectKind, StoredInferenceService } from "./repository.ts";

const group = "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices";
const inNamespace = z.object({ namespace: z.string() });
const named = z.object({
  namespace: z.string(),
  name: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, "a name of Kubernetes: lower case, digits and dashes")
    .max(63),
});
const object = z.looseObject({ metadata: z.looseObject({}).optional() }).meta({ id: "KubernetesObject" });
const tag = "serving";

/**
 * The part of the Kubernetes API that a KServe predictor step uses, answered by the embedded serving platform:
 * server-side apply, get, list and delete.
 */
export const kserveRoutes = ({ services, publicUrl }: { services: InferenceServices; publicUrl: string }) => {
  const present = (service: StoredInferenceService) =>
    inferenceService(service, services.route(service.namespace, service.name)?.revision, publicUrl);
  return {
    "GET /apis/serving.kserve.io/v1alpha1/clusterservingruntimes": route({
      tag,
      access: "run",
      summary: "What model formats the platform serves",
      reply: object,
      handler: () => ({
        apiVersion: "serving.kserve.io/v1alpha1",
        kind: "ClusterServingRuntimeList",
        metadata: {},
        items: [
          {
            metadata: { name: "fuseml-mlflow" },
            spec: {
              supportedModelFormats: servedFormats.map((name) => ({ name, autoSelect: true })),
              protocolVersions: ["v2"],
              containers: [],
            },
          },
        ],
      }),
    }),
    [`GET ${group}`]: route({
      tag,
      access: "run",
      summary: "List inference services",
      params: inNamespace,
      reply: object,
      handler: async ({ params }) => ({
        apiVersion: "serving.kserve.io/v1beta1",
        kind: "InferenceServiceList",
        metadata: {},
        items: (await services.list(params.namespace)).map(present),
      }),
    }),
    [`GET ${group}/{name}`]: route({
      tag,
      access: "run",
      summary: "Get an inference service",
      params: named,
      reply: object,
      errors: ["serving.not-found"],
      handler: async ({ params }) => present(await services.get(params.namespace, params.name)),
    }),
    [`PATCH ${group}/{name}`]: route({
      tag,
      access: "run",
      summary: "Create or change an inference service (server-side apply)",
      params: named,
      body: object,
      reply: object,
      handler: async ({ params, body }) =>
        present(await services.apply(params.namespace, params.name, body as KubernetesObject)),
    }),
    [`DELETE ${group}/{name}`]: route({
      tag,
      access: "run",
      summary: "Delete an inference service",
      params: named,
      reply: null,
      handler: ({ params }) => services.remove(params.namespace, params.name),
    }),
    ...objectRoutes(services, "secrets", "Secret"),
    ...objectRoutes(services, "serviceaccounts", "ServiceAccount"),
  };
};

const objectRoutes = (services: InferenceServices, plural: string, kind: KubernetesObjectKind) => {
  const path = `/api/v1/namespaces/{namespace}/${plural}/{name}`;
  return {
    [`GET ${path}`]: route({
      tag,
      access: "run",
      summary: `Get a ${kind} (the values of a secret are not shown)`,
      params: named,
      reply: object,
      errors: ["serving.not-found"],
      handler: async ({ params }) => {
        const found = await services.getObject(kind, params.namespace, params.name);
        if (!found) throw failure("serving.not-found", { name: params.name });
        const { stringData: _hidden, data: _also, ...shown } = found;
        return shown as KubernetesObject & { metadata: object };
      },
    }),
    [`PATCH ${path}`]: route({
      tag,
      access: "run",
      summary: `Create or change a ${kind} (server-side apply)`,
      params: named,
      body: object,
      reply: object,
      handler: async ({ params, body }) => {
        await services.putObject(kind, params.namespace, params.name, body as KubernetesObject);
        return { apiVersion: "v1", kind, metadata: { name: params.name, namespace: params.namespace } };
      },
    }),
  };
};

/** A service as KServe's v1beta1 shows it. */
function inferenceService(service: StoredInferenceService, serving: string | undefined, publicUrl: string) {
  const { namespace, name, generation, spec, metadata, revisions, created } = service;
  const newest = revisions.at(-1);
  const upToDate = newest?.state === "ready" && serving === newest.name;
  const isReady = serving !== undefined;
  const url = `${publicUrl}/serving/${namespace}/${name}`;
  const status = isReady ? "True" : newest?.state === "failed" ? "False" : "Unknown";
  const failedLoad =
    newest?.state === "failed" ? { lastFailureInfo: { reason: "ModelLoadFailed", message: newest.message } } : {};
  return {
    apiVersion: "serving.kserve.io/v1beta1",
    kind: "InferenceService",
    metadata: {
      name,
      namespace,
      uid: metadata.uid,
      generation,
      creationTimestamp: created,
      labels: metadata.labels,
      annotations: metadata.annotations,
    },
    spec,
    status: {
      observedGeneration: generation,
      conditions: ["PredictorReady", "IngressReady", "Ready"].map((type) => ({
        type,
        status,
        ...(newest?.message ? { message: newest.message } : {}),
      })),
      ...(isReady ? { url, address: { url } } : {}),
      components: {
        predictor: { url, latestCreatedRevision: newest?.name, ...(serving ? { latestReadyRevision: serving } : {}) },
      },
      modelStatus: {
        states: {
          activeModelState: isReady ? "Loaded" : "",
          targetModelState: upToDate ? "Loaded" : newest?.state === "failed" ? "FailedToLoad" : "Loading",
        },
        transitionStatus: upToDate ? "UpToDate" : newest?.state === "failed" ? "BlockedByFailedLoad" : "InProgress",
        ...failedLoad,
      },
    },
  };
}
