import { z } from "zod";
import { route } from "../platform/http/route.ts";
import type { ProjectService } from "../projects/service.ts";
import { instant, name, named } from "./shared.ts";

const project = z
  .object({
    name: z.string(),
    description: z.string(),
    users: z.array(z.object({ name: z.string(), email: z.string() })),
    created: instant.optional(),
    parallelism: z.number().int().nullish().meta({ description: "steps of its runs at once; absent for no limit" }),
  })
  .meta({ id: "Project" });
const tag = "project";

export const projectRoutes = ({ projects }: { projects: ProjectService }) => ({
  "GET /projects": route({ tag, summary: "List projects", reply: z.array(project), handler: () => projects.list() }),
  "POST /projects": route({
    tag,
    summary: "Create a project",
    query: z.object({ name, description: z.string().default("") }),
    reply: project,
    status: 201,
    errors: ["project.exists"],
    handler: ({ query }) => projects.create(query.name, query.description),
  }),
  "GET /projects/{name}": route({
    tag,
    summary: "Get a project",
    params: named,
    reply: project,
    errors: ["project.not-found"],
    handler: ({ params }) => projects.get(params.name),
  }),
  "PUT /projects/{name}/parallelism": route({
    tag,
    summary: "Limit how many steps of the project's runs run at once; null takes the limit away",
    params: named,
    body: z.object({ parallelism: z.number().int().min(1).nullable() }),
    reply: project,
    errors: ["project.not-found"],
    handler: ({ params, body }) => projects.limit(params.name, body.parallelism),
  }),
  "DELETE /projects/{name}": route({
    tag,
    summary: "Delete a project that has no codesets",
    params: named,
    reply: null,
    errors: ["project.not-found", "project.not-empty"],
    handler: ({ params }) => projects.remove(params.name),
  }),
});
