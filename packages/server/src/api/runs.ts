import { formatAddress } from "@fuseml/core/artifact/address";
import { failure } from "@fuseml/core/errors";
import { outputsOf, type RunStatus, runStatuses } from "@fuseml/core/run/state";
import { z } from "zod";
import { type Actor, route } from "../platform/http/route.ts";
import { cloudEvent } from "../runs/cloud-event.ts";
import type { StoredAttempt, StoredRun, StoredStep } from "../runs/records.ts";
import type { RunLogs } from "../runs/run-logs.ts";
import type { RunDetail, RunService } from "../runs/service.ts";
import { cloudEventSchema } from "./events.ts";
import { flag, instant, name, named, optionalText } from "./shared.ts";

const runError = z
  .object({
    code: z.string(),
    message: z.string(),
    hint: z.string().optional(),
    exitCode: z.number().optional(),
    logTail: z.string().optional(),
  })
  .meta({ id: "RunError" });
const choice = z.object({
  extension: z.string(),
  service: z.string(),
  endpoint: z.string(),
  credentials: z.string().optional(),
});
const stepRun = z
  .object({
    name: z.string(),
    step: z.string().meta({ description: "in the definition; a matrix makes several step runs of one step" }),
    matrix: z.record(z.string(), z.string()).optional(),
    status: z.string(),
    attempt: z.number().int().meta({ description: "tries that have begun" }),
    attempts: z
      .array(z.object({ attempt: z.number(), started: instant, ended: instant, error: runError }))
      .meta({ description: "tries that failed and were followed by another one" }),
    waitsFor: z.looseObject({ type: z.string() }).optional().meta({ description: "a person, a moment, the next try" }),
    skipped: z.looseObject({ type: z.string() }).optional().meta({ description: "why" }),
    image: z.string().optional().meta({ description: "that ran, by digest" }),
    reused: z.object({ run: z.string(), step: z.string() }).optional(),
    notReused: z.string().optional().meta({ description: "why no earlier result was taken" }),
    approval: z.object({ by: z.string(), at: instant, comment: z.string().optional() }).optional(),
    started: instant.optional(),
    ended: instant.optional(),
    outputs: z.record(z.string(), z.string()),
    error: runError.optional(),
    extensions: z.record(z.string(), choice).meta({ description: "the records it got, by its own name for each" }),
  })
  .meta({ id: "StepRun" });
const input = z.object({ input: z.object({ name: z.string(), type: z.string().optional() }), value: z.string() });
const runSchema = z
  .object({
    name: z.string().meta({ description: "the run's id" }),
    workflowRef: z.string(),
    workflowVersion: z.number().int(),
    project: z.string(),
    status: z.string().meta({ description: "Pending, Running, Succeeded, Failed, Cancelled" }),
    startTime: instant,
    completionTime: z.string(),
    inputs: z.array(input),
    outputs: z.array(z.object({ output: z.object({ name: z.string() }), value: z.string() })),
    URL: z.string(),
    cause: z.looseObject({ type: z.string() }),
    error: runError.optional(),
  })
  .meta({ id: "WorkflowRun" });
const detail = runSchema
  .extend({
    steps: z.array(stepRun).meta({ description: "at most the first 1000" }),
    stepCount: z.number().int(),
    stepByStep: z.boolean(),
    edited: z.boolean().meta({ description: "its definition is not that of its workflow version" }),
  })
  .meta({ id: "WorkflowRunDetail" });
const event = z.object({ type: z.string(), time: instant, data: z.looseObject({}) });
const planned = z
  .object({
    name: z.string(),
    image: z.string(),
    segment: z.number().int().optional(),
    agent: z.string().optional(),
    zone: z.string().optional(),
    needs: z.array(z.string()),
    stepRuns: z.number().int().nullable().optional().meta({ description: "of its matrix; null when decided later" }),
    notes: z.array(z.string()),
    extensions: z.record(z.string(), choice),
    reused: z.string().optional().meta({ description: "the run whose result would be taken" }),
    notReused: z.string().optional(),
    refused: z.string().optional().meta({ description: "why no agent takes it" }),
  })
  .meta({ id: "PlannedStep" });
const key = z.object({ id: z.string() });
const tag = "run";

type Addresses = { gitUrl: (project: string, name: string) => string; publicUrl: string };
const title = (status: RunStatus): string => status.charAt(0).toUpperCase() + status.slice(1);

function show(run: StoredRun, { gitUrl, publicUrl }: Addresses): z.input<typeof runSchema> {
  return {
    name: run.id,
    workflowRef: run.workflow,
    workflowVersion: run.workflowVersion,
    project: run.project,
    status: title(run.status),
    startTime: run.started ?? run.created,
    completionTime: run.ended ?? "",
    inputs: [
      ...Object.entries(run.pins.codesets).map(([of, at]) => ({
        input: { name: of, type: "codeset" },
        value: `${gitUrl(at.project, at.name)}:${at.version}`,
      })),
      ...Object.entries(run.pins.models).map(([of, { address }]) => ({
        input: { name: of, type: "model" },
        value: formatAddress(address),
      })),
      ...Object.entries(run.pins.values).map(([of, value]) => ({ input: { name: of }, value })),
    ],
    outputs: Object.entries(run.outputs).map(([of, value]) => ({ output: { name: of }, value })),
    URL: `${publicUrl}/runs/${run.id}`,
    cause: run.cause,
    ...(run.error ? { error: run.error } : {}),
  };
}

function showStep(row: StoredStep, attempts: readonly StoredAttempt[]): z.input<typeof stepRun> {
  const { name: of, state, extensions, passes, reuse } = row;
  return {
    name: of,
    step: row.step,
    ...(row.combination ? { matrix: { ...row.combination } } : {}),
    status: title(state.status as RunStatus),
    attempt: row.attempt,
    attempts: attempts
      .filter((attempt) => attempt.name === of)
      .map(({ attempt, started, ended, error }) => ({ attempt, started, ended, error })),
    ...("since" in state ? { started: state.since } : {}),
    ...("ended" in state ? { ended: state.ended } : {}),
    outputs: { ...outputsOf(state) },
    ...(state.status === "failed" ? { error: state.error } : {}),
    ...(state.status === "waiting" && state.gate ? { waitsFor: { ...state.gate } } : {}),
    ...(state.status === "skipped" && state.reason ? { skipped: { ...state.reason } } : {}),
    ...("image" in state && state.image !== undefined ? { image: state.image } : {}),
    ...(state.status === "succeeded" && state.reused ? { reused: state.reused } : {}),
    ...(reuse?.because ? { notReused: reuse.because } : {}),
    ...(passes.approval ? { approval: passes.approval } : {}),
    extensions: { ...extensions },
  };
}

/** Upstream's words for a status, in any case, as ours. */
function parseStatus(text: string | undefined): RunStatus | undefined {
  if (text === undefined) return undefined;
  const words: Readonly<Record<string, RunStatus>> = { started: "running", completed: "succeeded" };
  const plain = text.toLowerCase().replace(/\s*\(.*$/, "");
  const status = words[plain] ?? runStatuses.find((candidate) => candidate === plain);
  if (!status)
    throw failure(
      "request.invalid",
      { message: `"${text}" is not a run status`, hint: `statuses: ${runStatuses.map(title).join(", ")}` },
      { field: "query.status" },
    );
  return status;
}

export const runRoutes = ({ runs, runLogs, ...addresses }: { runs: RunService; runLogs: RunLogs } & Addresses) => {
  const showDetail = ({ run, steps, stepCount, attempts }: RunDetail): z.input<typeof detail> => ({
    ...show(run, addresses),
    steps: steps.map((step) => showStep(step, attempts)),
    stepCount,
    stepByStep: run.stepwise,
    edited: run.definition !== null,
  });
  const person = (actor: Actor): string => (actor.kind === "token" ? actor.name : "local");
  return {
    "GET /workflows/runs": route({
      tag,
      summary: "List runs, newest first",
      query: z.object({
        name: optionalText,
        project: optionalText,
        codesetProject: optionalText,
        codesetName: optionalText,
        status: optionalText,
        before: optionalText.meta({ description: "cursor: runs before this id" }),
        since: optionalText.meta({ description: "created from this instant on: ISO 8601, or as 2h, 3d ago" }),
        limit: z.coerce.number().int().min(1).max(1000).default(100),
      }),
      reply: z.array(runSchema),
      handler: async ({ query }) => {
        const { name: workflow, status, since, ...rest } = query;
        const filter = { ...rest, workflow, status: parseStatus(status), since };
        return (await runs.list(filter)).map((run) => show(run, addresses));
      },
    }),
    "POST /workflows/{name}/runs": route({
      tag,
      summary: "Start a run by hand",
      params: named,
      body: z.object({
        inputs: z.record(name, z.string()).default({}),
        stepByStep: z.boolean().default(false),
        cache: z.boolean().default(true).meta({ description: "false: no earlier result is taken" }),
      }),
      reply: detail,
      status: 201,
      errors: [
        "workflow.not-found",
        "run.input-unknown",
        "run.input-missing",
        "run.input-type",
        "host.image-without-recipe",
      ],
      handler: async ({ params, body, actor }) => {
        const options = { stepwise: body.stepByStep, noCache: !body.cache };
        const run = await runs.start(params.name, body.inputs, person(actor), options);
        return showDetail(await runs.get(run.id));
      },
    }),
    "POST /workflows/{name}/plan": route({
      tag,
      summary: "What a run would do, without starting it",
      params: named,
      body: z.object({ inputs: z.record(name, z.string()).default({}) }),
      reply: z.array(planned),
      errors: ["workflow.not-found", "run.input-unknown", "run.input-missing", "run.input-type"],
      handler: async ({ params, body }) =>
        (await runs.plan(params.name, body.inputs)).map(
          ({ spec, reuse, refused, needs, notes, extensions, ...step }) => ({
            ...step,
            needs: [...needs],
            notes: [...notes],
            extensions: { ...extensions },
            ...(reuse ? (reuse.hit ? { reused: reuse.run } : { notReused: reuse.because }) : {}),
            ...(refused ? { refused: refused.message } : {}),
          }),
        ),
    }),
    "GET /runs/{id}": route({
      tag,
      access: "run",
      summary: "Get a run and its steps",
      params: key,
      reply: detail,
      errors: ["run.not-found"],
      handler: async ({ params }) => showDetail(await runs.get(params.id)),
    }),
    "GET /runs/{id}/steps": route({
      tag,
      summary: "A page of the steps of a run, in order",
      params: key,
      query: z.object({
        after: z.coerce.number().int().default(-1).meta({ description: "cursor: the position of the step before" }),
        limit: z.coerce.number().int().min(1).max(1000).default(1000),
      }),
      reply: z.array(stepRun.extend({ position: z.number().int() })),
      errors: ["run.not-found"],
      handler: async ({ params, query }) =>
        (await runs.steps(params.id, query)).map((step) => ({ ...showStep(step, []), position: step.ordinal })),
    }),
    "GET /runs/{id}/steps/{step}/environment": route({
      tag,
      summary: "The image and the variables that a step sees, or would see now; secrets are masked",
      params: z.object({ id: z.string(), step: z.string() }),
      reply: z.object({ image: z.string(), variables: z.record(z.string(), z.string()) }),
      errors: ["run.not-found", "run.step-not-found"],
      handler: async ({ params }) => {
        const { image, variables } = await runs.environment(params.id, params.step);
        return { image, variables: { ...variables } };
      },
    }),
    "GET /runs/{id}/definition": route({
      tag,
      summary: "The definition that the run runs",
      params: key,
      reply: z.looseObject({}),
      errors: ["run.not-found"],
      handler: async ({ params }) => {
        const { run, workflow } = await runs.get(params.id);
        return { ...(run.definition ?? workflow?.definition) };
      },
    }),
    "POST /runs/{id}/cancel": route({
      tag,
      summary: "Cancel a run: its processes are gone when this answers",
      params: key,
      reply: detail,
      errors: ["run.not-found", "run.ended"],
      handler: async ({ params, actor }) => showDetail(await runs.cancel(params.id, person(actor))),
    }),
    "GET /runs/{id}/history": route({
      tag,
      summary: "What happened in a run, in order",
      params: key,
      reply: z.array(event),
      errors: ["run.not-found"],
      handler: async ({ params, signal }) => {
        const events: z.input<typeof event>[] = [];
        for await (const { type, time, data } of runs.events(params.id, { after: 0, follow: false, signal }))
          events.push({ type, time, data });
        return events;
      },
    }),
    "GET /runs/{id}/events": route({
      tag,
      stream: true,
      summary: "What happens in a run, as it happens, until it ends: CloudEvents",
      params: key,
      query: z.object({ after: z.coerce.number().int().default(0) }),
      reply: cloudEventSchema,
      errors: ["run.not-found"],
      handler: async function* ({ params, query, request, signal }) {
        const after = Number(request.headers["last-event-id"] ?? query.after);
        for await (const item of runs.events(params.id, { after, follow: true, signal })) {
          yield { id: String(item.seq), event: item.type, data: cloudEvent(item, addresses.publicUrl) };
        }
      },
    }),
    "GET /runs/{id}/logs": route({
      tag,
      stream: true,
      summary: "The log of a run or of one step; secrets are masked",
      params: key,
      query: z.object({
        step: optionalText,
        attempt: z.coerce.number().int().min(1).optional().meta({ description: "of one step; default the last one" }),
        follow: flag,
        from: z.coerce.number().int().min(0).default(0).meta({ description: "byte offset, with one step" }),
      }),
      reply: z.object({ step: z.string(), text: z.string(), offset: z.number() }),
      errors: ["run.not-found"],
      handler: async function* ({ params, query, signal }) {
        const { run } = await runs.get(params.id);
        const chunks = await runLogs.of(run, { ...query, signal });
        yield { event: "run", data: { run: run.id } };
        for await (const chunk of chunks) {
          yield { id: `${chunk.step}:${chunk.offset}`, event: "log", data: chunk };
        }
        yield { event: "end", data: {} };
      },
    }),
  };
};
