import { schedule, workflowDefinition, workflowJsonSchema } from "@fuseml/core/workflow/definition";
import { z } from "zod";
import type { CodesetService } from "../codesets/service.ts";
import { route } from "../platform/http/route.ts";
import { newerPolicies } from "../workflows/assignment-repository.ts";
import type { StoredWorkflow } from "../workflows/repository.ts";
import type { WorkflowService } from "../workflows/service.ts";
import { codesetSchema, showCodeset } from "./codesets.ts";
import { instant, name, named, optionalText } from "./shared.ts";

const workflow = workflowDefinition
  .extend({ created: instant, version: z.number().int().meta({ description: "counts from 1" }), digest: z.string() })
  .meta({ id: "WorkflowVersion" });
/** JSON, or YAML text with its own content type: then errors carry line and column. */
const definition = z
  .unknown()
  .meta({ description: "a workflow, as JSON or YAML", override: { $ref: "#/components/schemas/Workflow" } });
const diagnostic = z
  .object({
    code: z.string(),
    message: z.string(),
    hint: z.string().optional(),
    path: z.string().optional(),
    at: z.object({ file: z.string().optional(), line: z.number(), column: z.number() }).optional(),
  })
  .meta({ id: "Diagnostic" });
const assignment = z
  .object({
    workflow: z.string(),
    codesets: z.array(codesetSchema),
    status: z.object({ available: z.boolean(), URL: z.string().optional() }),
    id: z.string(),
    inputs: z.record(z.string(), z.string()).meta({ description: "input → artifact pattern or value" }),
    project: z.string(),
    newer: z.enum(newerPolicies),
    schedule: schedule.optional(),
    nextMoment: instant.optional(),
  })
  .meta({ id: "WorkflowAssignment" });
const tag = "workflow";

const show = ({ definition: of, version, digest, created }: StoredWorkflow): z.input<typeof workflow> => ({
  ...of,
  created,
  version,
  digest,
});

export const workflowRoutes = (parts: {
  workflows: WorkflowService;
  codesets: CodesetService;
  gitUrl: (project: string, name: string) => string;
}) => {
  const { workflows, codesets } = parts;
  const showCode = showCodeset(parts.gitUrl);
  return {
    "GET /workflows": route({
      tag,
      summary: "List workflows",
      query: z.object({ name: optionalText }),
      reply: z.array(workflow),
      handler: async ({ query }) => (await workflows.list(query.name)).map(show),
    }),
    "POST /workflows": route({
      tag,
      summary: "Create a workflow",
      body: definition,
      reply: workflow,
      status: 201,
      errors: ["workflow.invalid", "workflow.exists"],
      handler: async ({ body }) => show(await workflows.create(body)),
    }),
    "POST /workflows/check": route({
      tag,
      summary: "Say everything that is wrong with a definition, without keeping it",
      body: definition,
      reply: z.object({ valid: z.boolean(), diagnostics: z.array(diagnostic) }),
      handler: async ({ body }) => {
        const { diagnostics } = await workflows.check(body);
        return { valid: diagnostics.length === 0, diagnostics: [...diagnostics] };
      },
    }),
    "GET /workflow.schema.json": route({
      tag,
      access: "anyone",
      summary: "JSON Schema of a workflow, for editors",
      reply: z.looseObject({}),
      handler: () => workflowJsonSchema() as Record<string, unknown>,
    }),
    "GET /workflows/{name}": route({
      tag,
      summary: "Get a workflow",
      params: named,
      reply: workflow,
      errors: ["workflow.not-found"],
      handler: async ({ params }) => show(await workflows.get(params.name)),
    }),
    "PUT /workflows/{name}": route({
      tag,
      summary: "Update a workflow: a new version; runs keep theirs",
      params: named,
      body: definition,
      reply: workflow,
      errors: ["workflow.invalid", "workflow.not-found"],
      handler: async ({ params, body }) => show(await workflows.update(params.name, body)),
    }),
    "DELETE /workflows/{name}": route({
      tag,
      summary: "Delete a workflow and its assignments",
      params: named,
      reply: null,
      errors: ["workflow.not-found"],
      handler: ({ params }) => workflows.remove(params.name),
    }),
    "GET /workflows/assignments": route({
      tag,
      summary: "List assignments",
      query: z.object({ name: optionalText }),
      reply: z.array(assignment),
      handler: async ({ query }) => {
        const all = await codesets.list({});
        return (await workflows.assignments(query.name)).map((of) => ({
          workflow: of.workflow,
          id: of.id,
          inputs: { ...of.bindings, ...of.values },
          project: of.project,
          newer: of.newer,
          ...(of.schedule ? { schedule: of.schedule } : {}),
          ...(of.nextMoment ? { nextMoment: of.nextMoment } : {}),
          codesets: all
            .filter((codeset) => Object.values(of.bindings).includes(`code://${codeset.project}/${codeset.name}`))
            .map(showCode),
          status: { available: true },
        }));
      },
    }),
    "POST /workflows/assignments": route({
      tag,
      summary: "Assign a workflow to a codeset; a body binds more inputs, wildcards allowed (code://*)",
      query: z.object({ name, codesetProject: optionalText, codesetName: optionalText }),
      body: z
        .object({
          inputs: z.record(z.string(), z.string()).default({}),
          newer: z.enum(newerPolicies).optional().meta({
            description:
              "what a newer run does to older ones for the same things: nothing, end them, or wait for its turn",
          }),
          schedule: schedule.optional(),
          project: optionalText.meta({ description: "that the runs belong to, when no input says so" }),
        })
        .optional(),
      reply: z.object({
        assignment: z.string(),
        runs: z.array(z.string()).meta({ description: "ids of the runs that it started" }),
      }),
      status: 201,
      errors: ["workflow.not-found", "codeset.not-found", "assignment.ambiguous", "schedule.invalid"],
      handler: async ({ query, body }) => {
        const given = Object.entries(body?.inputs ?? {});
        const bindings = Object.fromEntries(given.filter(([, value]) => /^(code|model):\/\//.test(value)));
        const values = Object.fromEntries(given.filter(([key]) => bindings[key] === undefined));
        const named: Record<string, string> =
          query.codesetProject && query.codesetName
            ? { "": `code://${query.codesetProject}/${query.codesetName}` }
            : {};
        const { assignment: made, runs } = await workflows.assign(query.name, { ...named, ...bindings }, values, {
          newer: body?.newer,
          schedule: body?.schedule,
          project: body?.project,
        });
        return { assignment: made.id, runs: runs.map((run) => run.id) };
      },
    }),
    "DELETE /workflows/assignments/{name}": route({
      tag,
      summary: "Unassign a workflow from a codeset",
      params: named,
      query: z.object({ codesetProject: name, codesetName: name }),
      reply: null,
      errors: ["workflow.not-found", "assignment.not-found"],
      handler: ({ params, query }) => workflows.unassign(params.name, query.codesetProject, query.codesetName),
    }),
  };
};
