import { failure } from "@fuseml/core/errors";
import { isRunEnded } from "@fuseml/core/run/state";
import type { FastifyInstance } from "fastify";
import type { RunService } from "../runs/service.ts";

const changesRun = /^\/runs\/([^/?]+)\/(cancel|resume|swap|pause|next|steps\/)/;

/**
 * Hands what changes a live run to the replica that drives it: only that one can speak to the run's agents.
 * @param urlOf where a living replica answers
 */
export function forwardToOwner(
  app: FastifyInstance,
  runs: RunService,
  self: string,
  urlOf: (replica: string) => string | undefined,
): void {
  app.addHook("preHandler", async (request, reply) => {
    const id = request.method === "POST" ? changesRun.exec(request.url)?.[1] : undefined;
    if (id === undefined || request.headers["x-fuseml-forwarded"]) return;
    const { run } = await runs.get(decodeURIComponent(id));
    if (run.owner === null || run.owner === self || isRunEnded(run.status)) return;
    const url = urlOf(run.owner);
    if (url === undefined) throw failure("run.elsewhere", { name: run.id });
    const { authorization } = request.headers;
    const response = await fetch(url + request.url, {
      method: "POST",
      headers: {
        "x-fuseml-forwarded": self,
        ...(authorization ? { authorization } : {}),
        ...(request.body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    }).catch((error: unknown) => {
      throw failure("run.elsewhere", { name: run.id }, { cause: error });
    });
    const type = response.headers.get("content-type") ?? "application/json";
    return reply
      .code(response.status)
      .header("content-type", type)
      .send(await response.text());
  });
}
