import { z } from "zod";
import type { StoredApplication } from "../applications/repository.ts";
import type { ApplicationService } from "../applications/service.ts";
import type { ArtifactService } from "../artifacts/service.ts";
import { route } from "../platform/http/route.ts";
import { instant, named, optionalText } from "./shared.ts";

const given = z.object({
  name: z.string().min(1),
  type: z.string(),
  description: z.string().default(""),
  url: z.string(),
  workflow: z.string(),
  k8s_namespace: z.string(),
  k8s_resources: z.array(z.object({ name: z.string(), kind: z.string() })).default([]),
});
const application = given
  .extend({ revision: z.number().int().optional(), created: instant.optional(), updated: instant.optional() })
  .meta({ id: "Application" });
const revision = z.object({
  revision: z.number().int(),
  run: z.string().nullable(),
  model: z.string().nullable(),
  created: instant,
});
const tag = "application";

const show = (of: StoredApplication): z.input<typeof application> => ({ ...of, k8s_resources: [...of.k8s_resources] });

export const applicationRoutes = ({
  applications,
  artifacts,
}: {
  applications: ApplicationService;
  artifacts: ArtifactService;
}) => ({
  "GET /applications": route({
    tag,
    summary: "List applications",
    query: z.object({ type: optionalText, workflow: optionalText }),
    reply: z.array(application),
    handler: async ({ query }) => (await applications.list(query)).map(show),
  }),
  "POST /applications": route({
    tag,
    access: "run",
    summary: "Register an application, or a new revision of it",
    body: given.extend({ model: z.string().optional().meta({ description: "where the model is that it serves" }) }),
    reply: application,
    status: 201,
    handler: async ({ body, actor }) => {
      const { model, ...rest } = body;
      return show(await applications.register(rest, { model, runId: actor.kind === "run" ? actor.runId : undefined }));
    },
  }),
  "GET /applications/{name}": route({
    tag,
    access: "run",
    summary: "Get an application",
    params: named,
    reply: application,
    errors: ["application.not-found"],
    handler: async ({ params }) => show(await applications.get(params.name)),
  }),
  "GET /applications/{name}/revisions": route({
    tag,
    summary: "What it served, newest first",
    params: named,
    reply: z.array(revision),
    errors: ["application.not-found"],
    handler: async ({ params }) =>
      (await applications.revisions(params.name)).map((of) => ({
        revision: of.revision,
        run: of.run_id,
        model: of.model,
        created: of.created,
      })),
  }),
  "GET /applications/{name}/lineage": route({
    tag,
    summary: "Commit → run → model → application, of the present revision",
    params: named,
    reply: z.object({ summary: z.string() }),
    errors: ["application.not-found"],
    handler: async ({ params }) => {
      const [present] = await applications.revisions(params.name);
      const from = present?.model ?? (present?.run_id ? `run:${present.run_id}` : undefined);
      const before = from ? `${(await artifacts.lineage(from)).summary} → ` : "";
      return { summary: `${before}application ${params.name} (revision ${present?.revision ?? 0})` };
    },
  }),
  "DELETE /applications/{name}": route({
    tag,
    summary: "Delete an application and what serves it",
    params: named,
    reply: null,
    errors: ["application.not-found"],
    handler: ({ params }) => applications.remove(params.name),
  }),
});
