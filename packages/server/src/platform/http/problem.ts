import { FuseError, failure } from "@fuseml/core/errors";
import type { FastifyReply } from "fastify";
import { z } from "zod";
import { asDiskFull } from "../files/atomic.ts";

/** `application/problem+json` (RFC 9457), with upstream's members in it, so that its client prints the message. */
export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number(),
    detail: z.string(),
    code: z.string().meta({ description: "stable; the same whatever the wording" }),
    hint: z.string().optional().meta({ description: "what to do next" }),
    field: z.string().optional(),
    errors: z.array(z.unknown()).optional().meta({ description: "diagnostics of a definition" }),
    name: z.string().meta({ description: "upstream's name of the kind of error" }),
    id: z.string(),
    message: z.string(),
    temporary: z.boolean(),
    timeout: z.boolean(),
    fault: z.boolean(),
    exit: z.number().meta({ description: "the exit code of a command that ends with this" }),
  })
  .meta({ id: "Problem" });

export type Problem = z.output<typeof problem>;

const upstreamNames: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
};

/** The error as a FuseError: what is not one is a defect, except a full disk. */
export function asFuseError(error: unknown): FuseError {
  const known = asDiskFull(error, "the data directory");
  if (known instanceof FuseError) return known;
  const framework = error as { statusCode?: number; message?: string };
  if (framework.statusCode === 413)
    return failure("request.too-large", { limit: "the limit of this route" }, { cause: error });
  if (framework.statusCode && framework.statusCode < 500) {
    return failure("request.invalid", { message: framework.message ?? "bad request" }, { cause: error });
  }
  return failure("internal", { message: error instanceof Error ? error.message : String(error) }, { cause: error });
}

export function toProblem(error: FuseError, requestId: string): Problem {
  const name = upstreamNames[error.status] ?? "InternalError";
  return {
    type: `https://fuseml.dev/errors/${error.code}`,
    title: name,
    status: error.status,
    detail: error.message,
    code: error.code,
    ...(error.hint ? { hint: error.hint } : {}),
    ...(error.field ? { field: error.field } : {}),
    ...(error.diagnostics.length > 0 ? { errors: [...error.diagnostics] } : {}),
    name,
    id: requestId,
    message: error.message,
    temporary: error.temporary,
    timeout: false,
    fault: error.status >= 500,
    exit: error.exit,
  };
}

export function sendProblem(reply: FastifyReply, error: FuseError, requestId: string): FastifyReply {
  return reply
    .code(error.status)
    .header("content-type", "application/problem+json; charset=utf-8")
    .send(JSON.stringify(toProblem(error, requestId)));
}
