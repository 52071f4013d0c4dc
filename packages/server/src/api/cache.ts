import { failure } from "@fuseml/core/errors";
import { z } from "zod";
import { route } from "../platform/http/route.ts";
import type { Store } from "../state/store.ts";
import { instant, optionalText } from "./shared.ts";

const entry = z
  .object({
    key: z.string(),
    workflow: z.string(),
    step: z.string(),
    project: z.string(),
    run: z.string().meta({ description: "that made it" }),
    outputs: z.record(z.string(), z.string()),
    parts: z.record(z.string(), z.string()).meta({ description: "what the key is made of" }),
    created: instant,
    used: instant,
  })
  .meta({ id: "KeptResult" });
const filter = z.object({
  workflow: optionalText,
  step: optionalText,
  key: optionalText.meta({ description: "the key or its beginning" }),
});
const tag = "cache";

/** Results of steps that are kept for reuse. */
export const cacheRoutes = ({ cache }: { cache: Pick<Store, "read" | "transaction"> }) => ({
  "GET /cache": route({
    tag,
    summary: "List kept results, newest first",
    query: filter.extend({ limit: z.coerce.number().int().min(1).max(1000).default(100) }),
    reply: z.array(entry),
    handler: async ({ query }) =>
      (await cache.read.cache.list(query)).map(({ runId, stepRun: _stepRun, witnesses: _witnesses, ...rest }) => ({
        ...rest,
        run: runId,
      })),
  }),
  "DELETE /cache": route({
    tag,
    summary: "Drop kept results: their steps run again",
    query: filter,
    reply: z.object({ dropped: z.number().int() }),
    errors: ["cache.not-found"],
    handler: async ({ query }) => {
      const dropped = await cache.transaction((unit) => unit.cache.remove(query));
      if (dropped === 0 && query.key !== undefined) throw failure("cache.not-found", { name: query.key });
      return { dropped };
    },
  }),
});
