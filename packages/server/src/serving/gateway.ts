import { failure } from "@fuseml/core/errors";
import {
  fromPredictions,
  modelMetadata,
  parseInferenceRequest,
  toInvocation,
} from "@fuseml/core/serving/inference-protocol";
import { z } from "zod";
import { type AnyRoute, route } from "../platform/http/route.ts";
import type { InferenceServices, Route } from "./inference-services.ts";

const base = "/serving/{namespace}/{name}";
const service = z.object({ namespace: z.string(), name: z.string() });
const model = service.extend({ model: z.string() });
const version = model.extend({ version: z.string() });
const tag = "inference";
const answer = z.looseObject({}).meta({ id: "InferenceAnswer" });

/**
 * Open Inference Protocol v2 (REST) in front of the model servers.
 * A request stays with the revision that it started on; a new revision takes only new ones.
 */
export const gatewayRoutes = ({ services }: { services: InferenceServices }): Record<string, AnyRoute> => {
  const routeOf = async ({ namespace, name }: { namespace: string; name: string }): Promise<Route> => {
    const found = services.route(namespace, name);
    if (found) return found;
    const known = await services.get(namespace, name);
    throw failure("serving.not-ready", {
      name,
      reason: known.revisions.at(-1)?.message || "its model is being loaded",
    });
  };
  const ready = async (params: { namespace: string; name: string; model?: string }) => {
    const { revision } = await routeOf(params);
    if (params.model !== undefined && params.model !== params.name)
      throw failure("serving.not-found", { name: params.model });
    return { name: params.name, ready: true, revision };
  };
  const metadata = async (params: { namespace: string; name: string; model: string }) => {
    await ready(params);
    const { server, revision } = await routeOf(params);
    return modelMetadata(params.name, [revision], server.description.signature) as Record<string, unknown>;
  };
  const infer = async (
    params: { namespace: string; name: string; model: string },
    body: unknown,
    signal: AbortSignal,
  ) => {
    await ready(params);
    const at = await routeOf(params);
    at.inFlight += 1;
    try {
      return await predict(at, params.name, body, signal);
    } finally {
      at.inFlight -= 1;
    }
  };
  const anyone = { tag, access: "anyone" as const, reply: answer };
  return {
    [`GET ${base}/v2`]: route({
      ...anyone,
      summary: "Server metadata",
      params: service,
      handler: async ({ params }) => ({ ...(await ready(params)), name: "fuseml", version: "v2", extensions: [] }),
    }),
    [`GET ${base}/v2/health/live`]: route({
      ...anyone,
      summary: "Liveness",
      params: service,
      handler: async ({ params }) => ({ live: Boolean(await services.get(params.namespace, params.name)) }),
    }),
    [`GET ${base}/v2/health/ready`]: route({
      ...anyone,
      summary: "Readiness",
      params: service,
      handler: ({ params }) => ready(params),
    }),
    [`GET ${base}/v2/models/{model}`]: route({
      ...anyone,
      summary: "Model metadata",
      params: model,
      handler: ({ params }) => metadata(params),
    }),
    [`GET ${base}/v2/models/{model}/ready`]: route({
      ...anyone,
      summary: "Model readiness",
      params: model,
      handler: ({ params }) => ready(params),
    }),
    [`POST ${base}/v2/models/{model}/infer`]: route({
      ...anyone,
      summary: "Infer",
      params: model,
      body: z.unknown(),
      errors: ["serving.not-found", "serving.not-ready", "serving.bad-request"],
      handler: ({ params, body, signal }) => infer(params, body, signal),
    }),
    [`POST ${base}/v2/models/{model}/versions/{version}/infer`]: route({
      ...anyone,
      summary: "Infer with the present version",
      params: version,
      body: z.unknown(),
      handler: ({ params, body, signal }) => infer(params, body, signal),
    }),
  };
};

async function predict(
  { server, revision }: Route,
  name: string,
  body: unknown,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const refuse = (reason: string) => failure("serving.bad-request", { reason });
  const request = parseInferenceRequest(body);
  if (!request.ok) throw refuse(request.error);
  const invocation = toInvocation(request.value, server.description.signature);
  if (!invocation.ok) throw refuse(invocation.error);
  let response: Response;
  try {
    response = await fetch(`${server.url}/invocations`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(invocation.value),
      signal,
    });
  } catch (error) {
    // its supervisor starts it again
    throw failure(
      "serving.not-ready",
      { name, reason: "its model server has just died and is being started again" },
      { cause: error },
    );
  }
  const answered = (await response.json()) as { predictions?: unknown; message?: unknown; error_code?: unknown };
  if (response.status === 400) throw refuse(String(answered.message ?? "the model refused the request"));
  if (!response.ok)
    throw failure("serving.not-ready", {
      name,
      reason: String(answered.message ?? `the model server answered ${response.status}`),
    });
  const outputs = fromPredictions(answered.predictions, server.description.signature);
  if (!outputs.ok) throw new Error(outputs.error);
  return {
    model_name: name,
    model_version: revision,
    ...(request.value.id ? { id: request.value.id } : {}),
    outputs: outputs.value,
  };
}
