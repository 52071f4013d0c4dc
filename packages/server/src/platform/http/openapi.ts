import type { z } from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from "zod-openapi";
import { problem } from "./problem.ts";
import type { AnyRoute, Routes } from "./route.ts";

/**
 * The OpenAPI 3.1 document of a table of routes.
 * @param schemas by name: those that routes refer to by name only
 */
export function openApi(
  routes: Routes,
  info: { title: string; version: string; description: string },
  schemas: Readonly<Record<string, z.ZodType>>,
): object {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const [key, definition] of Object.entries(routes)) {
    const [method = "", path = ""] = key.split(" ");
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(definition) };
  }
  return createDocument({
    openapi: "3.1.0",
    info: { ...info, license: { name: "Apache-2.0", identifier: "Apache-2.0" } },
    paths: paths as ZodOpenApiPathsObject,
    components: { schemas: { ...schemas } },
  });
}

function operation(definition: AnyRoute): ZodOpenApiOperationObject {
  const requestParams = {
    ...(definition.params ? { path: definition.params } : {}),
    ...(definition.query ? { query: definition.query } : {}),
  };
  const success = definition.stream
    ? { description: "server-sent events", content: { "text/event-stream": { schema: { type: "string" as const } } } }
    : definition.reply === null
      ? { description: "done" }
      : { description: "OK", content: { "application/json": { schema: definition.reply } } };
  return {
    summary: definition.summary,
    tags: [definition.tag],
    requestParams,
    ...(definition.body ? { requestBody: { content: { "application/json": { schema: definition.body } } } } : {}),
    responses: {
      [String(definition.reply === null ? 204 : (definition.status ?? 200))]: success,
      default: {
        description: definition.errors?.length ? `a problem; codes: ${definition.errors.join(", ")}` : "a problem",
        content: { "application/problem+json": { schema: problem } },
      },
    },
  };
}
