import { parseDuration } from "@fuseml/core/duration";
import { failure, workflowInvalid } from "@fuseml/core/errors";
import type { WorkflowDefinition } from "@fuseml/core/workflow/definition";
import { z } from "zod";
import { adminRole } from "../access/service.ts";
import { type Actor, route } from "../platform/http/route.ts";
import type { Interventions, Person } from "../runs/interventions.ts";
import type { Retention } from "../runs/retention.ts";
import type { RunService } from "../runs/service.ts";
import type { WorkflowService } from "../workflows/service.ts";
import { name } from "./shared.ts";

const key = z.object({ id: z.string() });
const stepOf = z.object({ id: z.string(), step: z.string() });
/** What a change answers: the run that it was done to, or that it made. */
const changed = z.object({ run: z.string(), steps: z.array(z.string()).optional() }).meta({ id: "ChangedRun" });
const tag = "run";

/** An open server listens to this machine only: whoever is on it may do everything. */
const personOf = (actor: Actor): Person =>
  actor.kind === "token"
    ? { name: actor.name, roles: actor.roles, mayAll: actor.roles.includes(adminRole) }
    : { name: "local", roles: [], mayAll: actor.kind === "open" };

/** What people do to runs. */
export const interventionRoutes = (parts: {
  runs: RunService;
  interventions: Interventions;
  workflows: WorkflowService;
  retention: Retention;
}) => {
  const { runs, interventions, workflows, retention } = parts;
  const idOf = async (given: string): Promise<string> => (await runs.get(given)).run.id;
  const edited = async (given: unknown): Promise<WorkflowDefinition> => {
    const { definition, diagnostics } = await workflows.check(given);
    if (!definition || diagnostics.length > 0) throw workflowInvalid(diagnostics);
    return definition;
  };
  const decide = (verdict: "approve" | "reject", summary: string) =>
    route({
      tag,
      summary,
      params: stepOf,
      body: z.object({ comment: z.string().default("") }).optional(),
      reply: changed,
      errors: ["run.not-found", "run.not-waiting", "run.approver", "run.step-not-found"],
      handler: async ({ params, body, actor }) => {
        const run = await idOf(params.id);
        await interventions.decide(run, params.step, verdict, body?.comment ?? "", personOf(actor));
        return { run };
      },
    });
  return {
    "POST /runs/{id}/resume": route({
      tag,
      summary: "Go on with a run that has ended, on the same inputs",
      params: key,
      body: z.object({ from: z.string().optional() }).optional(),
      reply: changed,
      errors: ["run.not-found", "run.not-ended", "run.nothing-to-resume", "run.step-not-found"],
      handler: async ({ params, body, actor }) => {
        const run = await idOf(params.id);
        await interventions.resume(run, body?.from, personOf(actor));
        return { run };
      },
    }),
    "POST /runs/{id}/steps/{step}/retry": route({
      tag,
      summary: "Run a step once more, and then what depends on it; also while the run is live",
      params: stepOf,
      reply: changed,
      errors: ["run.not-found", "run.step-not-found"],
      handler: async ({ params, actor }) => {
        const run = await idOf(params.id);
        await interventions.retry(run, params.step, personOf(actor));
        return { run };
      },
    }),
    "POST /runs/{id}/steps/{step}/skip": route({
      tag,
      summary: "Leave a step out; outputs may be given in its place",
      params: stepOf,
      body: z.object({ outputs: z.record(name, z.string()).default({}) }).optional(),
      reply: changed,
      errors: ["run.not-found", "run.step-not-found", "run.step-started"],
      handler: async ({ params, body, actor }) => {
        const run = await idOf(params.id);
        await interventions.skip(run, params.step, body?.outputs ?? {}, personOf(actor));
        return { run };
      },
    }),
    "POST /runs/{id}/swap": route({
      tag,
      summary: "Give a run another definition, or a step another image, from here on",
      params: key,
      body: z.object({
        definition: z.unknown().optional().meta({ description: "the edited workflow, as JSON or YAML text" }),
        step: z.string().optional(),
        image: z.string().optional(),
      }),
      reply: changed,
      errors: ["run.not-found", "run.step-not-found", "run.step-started", "run.definition-differs", "workflow.invalid"],
      handler: async ({ params, body, actor }) => {
        const { run, workflow } = await runs.get(params.id);
        const present = run.definition ?? workflow?.definition;
        if (!present) throw failure("workflow.not-found", { name: run.workflow });
        const definition =
          body.definition === undefined ? withImage(present, body.step, body.image) : await edited(body.definition);
        await interventions.swap(run.id, await edited(definition), personOf(actor));
        return { run: run.id };
      },
    }),
    "POST /runs/{id}/fork": route({
      tag,
      summary: "Start a run that takes over what this one has finished before a step",
      params: key,
      body: z.object({
        from: z.string(),
        inputs: z.record(name, z.string()).default({}),
        definition: z.unknown().optional().meta({ description: "an edited workflow, as JSON or YAML text" }),
      }),
      reply: changed,
      status: 201,
      errors: ["run.not-found", "run.step-not-found", "run.input-unknown", "workflow.invalid"],
      handler: async ({ params, body, actor }) => {
        const definition = body.definition === undefined ? {} : { definition: await edited(body.definition) };
        const given = { inputs: body.inputs, ...definition };
        const forked = await runs.fork(params.id, body.from, given, personOf(actor).name);
        return { run: forked.id };
      },
    }),
    "POST /runs/{id}/pause": route({
      tag,
      summary: "From here on the run goes step by step; what is under way runs to its end",
      params: key,
      reply: changed,
      errors: ["run.not-found", "run.ended"],
      handler: async ({ params, actor }) => {
        const run = await idOf(params.id);
        await interventions.pause(run, personOf(actor));
        return { run };
      },
    }),
    "POST /runs/{id}/next": route({
      tag,
      summary: "Let the next step of a run that goes step by step start, or all of them",
      params: key,
      body: z.object({ step: z.string().optional(), all: z.boolean().default(false) }).optional(),
      reply: changed,
      errors: ["run.not-found", "run.not-stepwise", "run.not-waiting"],
      handler: async ({ params, body, actor }) => {
        const run = await idOf(params.id);
        const steps = await interventions.next(run, body?.step, body?.all ?? false, personOf(actor));
        return { run, steps: [...steps] };
      },
    }),
    "POST /runs/prune": route({
      tag,
      summary: "Remove runs that ended long ago, with their history and logs; what an application came from stays",
      body: z.object({
        olderThan: z.string().meta({ description: "since their end: 30d, 12h" }),
        keep: z.number().int().min(0).default(0).meta({ description: "of each workflow so many of the newest stay" }),
        workflow: z.string().optional(),
        dryRun: z.boolean().default(false),
      }),
      reply: z.object({ runs: z.array(z.string()) }),
      handler: async ({ body, actor }) => {
        if (!personOf(actor).mayAll)
          throw failure("auth.forbidden", { what: `runs are removed by the role ${adminRole}` });
        const olderThanMs = parseDuration(body.olderThan);
        if (olderThanMs === undefined) {
          throw failure("request.invalid", { message: `"${body.olderThan}" is no duration`, hint: "write 30d, 12h" });
        }
        const gone = await retention.prune({ ...body, olderThanMs });
        return { runs: gone.map((run) => run.id) };
      },
    }),
    "POST /runs/{id}/steps/{step}/approve": decide("approve", "Let a step that waits for approval start"),
    "POST /runs/{id}/steps/{step}/reject": decide("reject", "Refuse a step that waits for approval: it fails"),
  };
};

/** @throws `run.step-not-found`, `request.invalid` */
function withImage(
  definition: WorkflowDefinition,
  step: string | undefined,
  image: string | undefined,
): WorkflowDefinition {
  if (step === undefined || image === undefined) {
    throw failure("request.invalid", { message: "a step and an image, or an edited definition, is asked for" });
  }
  if (!definition.steps.some((of) => of.name === step)) {
    throw failure("run.step-not-found", { step, hint: definition.steps.map((of) => of.name).join(", ") });
  }
  return { ...definition, steps: definition.steps.map((of) => (of.name === step ? { ...of, image } : of)) };
}
