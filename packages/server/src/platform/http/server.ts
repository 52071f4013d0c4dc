import { failure } from "@fuseml/core/errors";
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from "fastify";
import type { z } from "zod";
import { asFuseError, sendProblem } from "./problem.ts";
import type { Actor, AnyRoute, Routes } from "./route.ts";
import { sendEvents } from "./sse.ts";

export const bodyLimitBytes = 4 * 1024 * 1024;

/** Decides who calls. @throws `auth.*` */
export type Authenticate = (request: FastifyRequest) => Promise<Actor>;

/** An HTTP server that answers the given routes; errors are problems. */
export function httpServer(options: { logger: FastifyBaseLogger; requestId: () => string }): FastifyInstance {
  const app = Fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: options.requestId,
    bodyLimit: bodyLimitBytes,
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1000 },
  });
  // upstream's client sends a JSON body with GET /extensions
  app.addHttpMethod("GET", { hasBody: true, overrideExisting: true });
  const asText = (_request: FastifyRequest, body: string, done: (error: null, body: string) => void) =>
    done(null, body);
  for (const type of ["application/yaml", "application/x-yaml", "text/yaml", "text/plain"]) {
    app.addContentTypeParser(type, { parseAs: "string" }, asText as never);
  }
  app.removeContentTypeParser("application/json");
  // server-side apply is sent as YAML; what a program sends is JSON, which is YAML
  app.addContentTypeParser(["application/json", "application/apply-patch+yaml"], { parseAs: "string" }, ((
    _request: FastifyRequest,
    body: string,
    done: (error: Error | null, body?: unknown) => void,
  ) => {
    if (body.trim() === "") return done(null, undefined);
    try {
      done(null, JSON.parse(body));
    } catch (error) {
      done(
        failure("request.invalid", { message: `the body is not JSON: ${(error as Error).message}` }, { cause: error }),
      );
    }
  }) as never);
  app.setErrorHandler((error, request, reply) => {
    const known = asFuseError(error);
    if (known.status >= 500) request.log.error({ err: error, code: known.code }, known.message);
    return sendProblem(reply, known, request.id);
  });
  app.setNotFoundHandler((request, reply) => {
    const message = `${request.method} ${request.url.split("?")[0]} is not part of this API`;
    const error = failure("request.invalid", { message, hint: "the API is described at /openapi.json" });
    return sendProblem(reply, Object.assign(error, { status: 404 }), request.id);
  });
  return app;
}

/** Adds a table of routes. */
export function addRoutes(app: FastifyInstance, routes: Routes, authenticate: Authenticate): void {
  for (const [key, definition] of Object.entries(routes)) {
    const [method = "", path = ""] = key.split(" ");
    app.route({
      method: method as "GET",
      url: path.replaceAll(/\{(\w+)\}/g, ":$1"),
      handler: (request, reply) => answer(definition, request, reply, authenticate),
    });
  }
}

async function answer(
  definition: AnyRoute,
  request: FastifyRequest,
  reply: FastifyReply,
  authenticate: Authenticate,
): Promise<unknown> {
  const actor: Actor = definition.access === "anyone" ? { kind: "open" } : await authenticate(request);
  if (actor.kind === "run" && definition.access !== "run") {
    throw failure("auth.forbidden", { what: "the token of a run cannot do this" });
  }
  const hangUp = new AbortController();
  reply.raw.on("close", () => hangUp.abort());
  const context = {
    params: check("path", definition.params, request.params),
    query: check("query", definition.query, request.query),
    body: check("body", definition.body, request.body),
    actor,
    request,
    signal: hangUp.signal,
  };
  if (definition.stream) {
    await sendEvents(reply, definition.handler(context) as AsyncIterable<never>, hangUp.signal);
    return reply;
  }
  const value = await definition.handler(context);
  if (definition.reply === null) return reply.code(204).send();
  return reply
    .code(definition.status ?? 200)
    .header("content-type", "application/json; charset=utf-8")
    .send(JSON.stringify(value));
}

/** @throws `request.invalid`, naming the field */
function check(place: string, schema: z.ZodType | undefined, value: unknown): unknown {
  if (!schema) return undefined;
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = [place, ...(issue?.path ?? [])].map(String).join(".");
  const unknown =
    issue?.code === "unrecognized_keys" ? `unknown field ${issue.keys.map((key) => `"${key}"`).join(", ")}` : undefined;
  throw failure("request.invalid", { message: `${field}: ${unknown ?? issue?.message ?? "not valid"}` }, { field });
}
