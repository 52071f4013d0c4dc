import { runnableDescriptor } from "@fuseml/core/runnable/descriptor";
import { z } from "zod";
import { route } from "../platform/http/route.ts";
import type { StoredRunnable } from "../runnables/repository.ts";
import type { RunnableService } from "../runnables/service.ts";
import { list, name, optionalText } from "./shared.ts";

const runnable = runnableDescriptor;
const tag = "runnable";

const show = (of: StoredRunnable): z.input<typeof runnable> => ({
  ...(of.body as z.input<typeof runnable>),
  created: of.created,
});

export const runnableRoutes = ({ runnables }: { runnables: RunnableService }) => ({
  "GET /runnables": route({
    tag,
    summary: "List runnables; id, kind and label values are regular expressions",
    query: z.object({ id: optionalText, kind: optionalText, labels: list.meta({ description: "NAME:PATTERN" }) }),
    reply: z.array(runnable),
    handler: async ({ query }) => {
      const labels = Object.fromEntries(
        (query.labels ?? []).map((text) => [text.split(":")[0] ?? "", text.slice(text.indexOf(":") + 1)]),
      );
      return (await runnables.list({ ...query, labels })).map(show);
    },
  }),
  "POST /runnables": route({
    tag,
    summary: "Register a runnable",
    body: runnable,
    reply: runnable,
    status: 201,
    handler: async ({ body }) => show(await runnables.register(body)),
  }),
  "GET /runnables/{id}": route({
    tag,
    summary: "Get a runnable",
    params: z.object({ id: name }),
    reply: runnable,
    errors: ["runnable.not-found"],
    handler: async ({ params }) => show(await runnables.get(params.id)),
  }),
});
