import { z } from "zod";
import { route } from "../platform/http/route.ts";
import type { StoredWebhook } from "../webhooks/repository.ts";
import type { Webhooks } from "../webhooks/service.ts";
import { instant, name, named } from "./shared.ts";

const webhook = z
  .object({
    name: z.string(),
    url: z.string(),
    types: z.array(z.string()),
    project: z.string(),
    workflow: z.string(),
    signed: z.boolean(),
    failures: z.number().int().meta({ description: "since the last delivery" }),
    lastError: z.string().optional(),
    nextTry: instant.optional(),
    created: instant,
  })
  .meta({ id: "Webhook" });
const tag = "webhook";

const show = ({
  cursor: _cursor,
  secret,
  lastError,
  nextTry,
  types,
  ...of
}: StoredWebhook): z.input<typeof webhook> => ({
  ...of,
  types: [...types],
  signed: secret !== "",
  ...(lastError === null ? {} : { lastError }),
  ...(nextTry === null ? {} : { nextTry }),
});

/** Who is told what happens. */
export const webhookRoutes = ({ webhooks }: { webhooks: Webhooks }) => ({
  "GET /webhooks": route({
    tag,
    summary: "List webhooks",
    reply: z.array(webhook),
    handler: async () => (await webhooks.list()).map(show),
  }),
  "POST /webhooks": route({
    tag,
    summary: "Tell a URL what happens to runs: CloudEvents, in order, at least once",
    body: z.object({
      name,
      url: z.url({ protocol: /^https?$/ }),
      types: z.array(z.string()).default([]).meta({ description: "run.ended, step.*; default all" }),
      project: z.string().default(""),
      workflow: z.string().default(""),
      secret: z.string().default("").meta({ description: "signs what is sent: X-FuseML-Signature-256" }),
    }),
    reply: webhook,
    status: 201,
    errors: ["webhook.exists"],
    handler: async ({ body }) => show(await webhooks.add(body)),
  }),
  "DELETE /webhooks/{name}": route({
    tag,
    summary: "Tell a URL no more",
    params: named,
    reply: null,
    errors: ["webhook.not-found"],
    handler: ({ params }) => webhooks.remove(params.name),
  }),
});
