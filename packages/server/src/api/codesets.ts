import { z } from "zod";
import type { StoredCodeset } from "../codesets/repository.ts";
import type { CodesetService } from "../codesets/service.ts";
import { route } from "../platform/http/route.ts";
import { instant, list, name, optionalText } from "./shared.ts";

export const codesetSchema = z
  .object({
    name: z.string(),
    project: z.string(),
    description: z.string(),
    labels: z.array(z.string()),
    url: z.string().meta({ description: "git URL: clone and push" }),
    head: z
      .string()
      .optional()
      .meta({ description: "newest commit of the default branch; absent when nothing was pushed" }),
    created: instant.optional(),
  })
  .meta({ id: "Codeset" });
const key = z.object({ project: name, name });
const tag = "codeset";

/** A codeset as the API shows it. */
export const showCodeset =
  (gitUrl: (project: string, name: string) => string) =>
  (codeset: StoredCodeset): z.input<typeof codesetSchema> => ({
    ...codeset,
    labels: [...codeset.labels],
    url: gitUrl(codeset.project, codeset.name),
  });

export const codesetRoutes = ({
  codesets,
  gitUrl,
}: {
  codesets: CodesetService;
  gitUrl: (project: string, name: string) => string;
}) => {
  const show = showCodeset(gitUrl);
  return {
    "GET /codesets": route({
      tag,
      summary: "List codesets",
      query: z.object({ project: optionalText, label: optionalText }),
      reply: z.array(codesetSchema),
      handler: async ({ query }) => (await codesets.list(query)).map(show),
    }),
    "POST /codesets": route({
      tag,
      summary: "Register a codeset: makes an empty git repository to push to",
      query: z.object({ name, project: name, description: z.string().default(""), labels: list }),
      reply: z
        .object({
          codeset: codesetSchema,
          username: z.string().meta({ description: "user of the project, for git" }),
          password: z.string(),
        })
        .meta({ id: "RegisteredCodeset" }),
      status: 201,
      errors: ["codeset.exists"],
      handler: async ({ query }) => {
        const { codeset, user } = await codesets.register({ ...query, labels: query.labels ?? [] });
        return { codeset: show(codeset), username: user.name, password: user.password };
      },
    }),
    "GET /codesets/{project}/{name}": route({
      tag,
      summary: "Get a codeset",
      params: key,
      reply: codesetSchema,
      errors: ["codeset.not-found"],
      handler: async ({ params }) => {
        const head = await codesets.head(params.project, params.name);
        return { ...show(await codesets.get(params.project, params.name)), ...(head ? { head: head.version } : {}) };
      },
    }),
    "GET /codesets/{project}/{name}/credentials": route({
      tag,
      summary: "Name and password of the project's git user",
      params: key,
      reply: z.object({ username: z.string(), password: z.string() }),
      errors: ["codeset.not-found"],
      handler: async ({ params }) => {
        const user = await codesets.pusher(params.project, params.name);
        return { username: user.name, password: user.password };
      },
    }),
    "DELETE /codesets/{project}/{name}": route({
      tag,
      summary: "Delete a codeset, its repository and its assignments",
      params: key,
      reply: null,
      errors: ["codeset.not-found"],
      handler: ({ params }) => codesets.remove(params.project, params.name),
    }),
  };
};
