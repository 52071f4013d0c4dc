import { z } from "zod";
import { namePattern } from "../artifact/address.ts";
import { parseDuration } from "../duration.ts";

/** A scalar as YAML gives it (`5`, `true`, `text`), taken as text. */
const scalar = z
  .union([z.string(), z.number(), z.boolean()])
  .transform((value) => String(value))
  .meta({ description: "text, number or boolean; may hold {{ expressions }}" });

const name = z.string().regex(namePattern, "a name is letters, digits, _ and -, and starts with none of the dashes");

const duration = z
  .union([z.string(), z.number()])
  .transform((value) => String(value))
  .refine((text) => parseDuration(text) !== undefined, "a duration is written as 30s, 5m, 1h30m")
  .meta({ description: "30s, 5m, 1h30m; a bare number counts seconds" });

const count = z.number().int().min(1);

/** What happens to moments that passed while no server ran. */
export const missedPolicies = ["skip", "once", "all"] as const;

/** When an assignment starts runs by itself. */
export const schedule = z
  .strictObject({
    cron: z.string().min(1).meta({ description: "five fields, or six with seconds: 0 3 * * *" }),
    timezone: z.string().default("UTC").meta({ description: "an IANA name: Europe/Berlin" }),
    missed: z
      .enum(missedPolicies)
      .default("once")
      .meta({ description: "moments that passed while no server ran: skip them, run once, or run all" }),
  })
  .meta({ id: "Schedule" });
export type Schedule = z.output<typeof schedule>;

export const inputTypes = ["codeset", "model", "string", "integer", "number", "boolean"] as const;
export type InputType = (typeof inputTypes)[number];

const input = z
  .strictObject({
    name,
    description: z.string().optional(),
    type: z.enum(inputTypes).default("string").meta({ description: "what the input takes" }),
    default: scalar.optional().meta({ description: "the value when none is given" }),
    labels: z.array(z.string()).optional().meta({ description: "labels that a codeset must have" }),
    changes: z
      .array(z.string())
      .optional()
      .meta({ description: "globs; a push that touches none of these paths starts nothing" }),
  })
  .meta({ id: "WorkflowInput" });

const output = z
  .strictObject({
    name,
    description: z.string().optional(),
    type: z.string().optional(),
  })
  .meta({ id: "WorkflowOutput", description: "takes the value of the step output of the same name" });

const stepInput = z
  .strictObject({
    name,
    value: scalar.optional(),
    codeset: z
      .strictObject({
        name: z.string().meta({ description: "the codeset input: {{ inputs.NAME }}" }),
        path: z.string().default("/workspace").meta({ description: "where the working copy is" }),
      })
      .optional(),
  })
  .refine((value) => (value.value === undefined) !== (value.codeset === undefined), {
    message: "an input has either a value or a codeset",
  })
  .meta({ id: "WorkflowStepInput" });

const quantities = z
  .record(z.string(), scalar)
  .meta({ description: "Kubernetes quantities: cpu, memory, nvidia.com/gpu" });

/** Which extension a step asks for: every field given must match. */
export const extensionRequirement = z
  .strictObject({
    name: name.meta({ description: "how this step refers to it: {{ extensions.NAME.cfg.VARIABLE }}" }),
    extension_id: z.string().optional(),
    product: z.string().optional(),
    version: z.string().optional().meta({ description: "a version or a semantic-version constraint" }),
    zone: z.string().optional(),
    service_id: z.string().optional(),
    service_resource: z.string().optional(),
    service_category: z.string().optional(),
    status: z.unknown().optional().meta({ description: "what upstream's server filled in; not used" }),
  })
  .meta({ id: "WorkflowStepExtension" });

const time = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, "a time of day is written as 22:00");
export const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

const window = z
  .strictObject({
    from: time,
    to: time.meta({ description: "may be earlier than `from`: then it is on the next day" }),
    timezone: z.string().default("UTC"),
    days: z.array(z.enum(weekdays)).min(1).optional().meta({ description: "days on which it opens; default all" }),
  })
  .meta({ id: "WorkflowStepWindow", description: "the step starts only inside this time of day" });

const retries = z
  .strictObject({
    limit: z.number().int().min(0).max(1000).meta({ description: "tries after the first one" }),
    backoff: duration.default("1s").meta({ description: "pause before the first retry; doubled for each further one" }),
    factor: z.number().min(1).max(10).default(2),
    max: duration.default("5m").meta({ description: "the longest pause" }),
  })
  .meta({ id: "WorkflowStepRetries" });

const approval = z
  .strictObject({
    by: z.array(z.string().min(1)).optional().meta({ description: "roles or names; default everybody who may call" }),
    timeout: duration.optional().meta({ description: "after this the step fails" }),
    message: z.string().optional().meta({ description: "what is to be decided" }),
  })
  .meta({ id: "WorkflowStepApproval", description: "the step waits until someone approves it" });

const matrixValues = z
  .union([z.array(scalar), z.string()])
  .meta({ description: "a list, or an {{ expression }} that gives a JSON list" });

const step = z
  .strictObject({
    name,
    image: z.string().min(1).optional().meta({
      description: "container image; may hold {{ expressions }}. A step that only waits for approval has none",
    }),
    runnable: z.string().optional().meta({
      description: "instead of an image: runnable://project/name[/version]; its inputs and outputs are checked",
    }),
    entrypoint: z.array(scalar).optional().meta({ description: "in place of the image's own (containers)" }),
    args: z.array(scalar).optional().meta({ description: "in place of the image's own (containers)" }),
    after: z.array(name).optional().meta({ description: "steps that must be over before" }),
    when: scalar.optional().meta({ description: "a condition; the step is skipped when it is false" }),
    matrix: z
      .record(name, matrixValues)
      .refine((dimensions) => Object.keys(dimensions).length > 0, "a matrix has at least one dimension")
      .optional()
      .meta({ description: "one step run for each combination; {{ matrix.NAME }} is its value" }),
    retries: retries.optional(),
    timeout: duration.optional().meta({ description: "for each try" }),
    cache: z.boolean().optional().meta({ description: "reuse an earlier result; default: builders only" }),
    approval: approval.optional(),
    window: window.optional(),
    zone: z.string().optional().meta({ description: "the infrastructure domain where it must run" }),
    inputs: z.array(stepInput).optional(),
    outputs: z
      .array(
        z.strictObject({
          name,
          image: z.strictObject({ name: z.string().optional(), dockerfile: z.string().optional() }).optional(),
        }),
      )
      .optional(),
    extensions: z.array(extensionRequirement).optional(),
    env: z.array(z.strictObject({ name: z.string().min(1), value: scalar })).optional(),
    resources: z.strictObject({ requests: quantities.optional(), limits: quantities.optional() }).optional(),
  })
  .meta({ id: "WorkflowStep" });

/** A workflow as a person writes it: seeds' YAML, every field. Strict: an unknown field is an error. */
export const workflowDefinition = z
  .strictObject({
    name,
    description: z.string().optional(),
    inputs: z.array(input).optional(),
    outputs: z.array(output).optional(),
    order: z.enum(["listed", "dataflow"]).optional().meta({
      description:
        "listed: steps run in the order they are written; dataflow: each starts when what it refers to is ready",
    }),
    parallelism: count.optional().meta({ description: "at most so many steps of a run at once" }),
    timeout: duration.optional().meta({ description: "for the whole run" }),
    zone: z.string().optional().meta({ description: "where steps run that do not say it themselves" }),
    schedule: schedule.optional().meta({ description: "what an assignment follows unless it has its own" }),
    steps: z.array(step).min(1, "a workflow has at least one step"),
    created: z.string().optional().meta({ description: "set by the server; ignored when given" }),
  })
  .meta({ id: "Workflow", title: "FuseML workflow" });

export type WorkflowDefinition = z.output<typeof workflowDefinition>;
export type WorkflowInput = z.output<typeof input>;
export type WorkflowOutput = z.output<typeof output>;
export type WorkflowStep = z.output<typeof step>;
export type ExtensionRequirement = z.output<typeof extensionRequirement>;

/** Workflow names that would hide a resource path of the API. */
export const reservedWorkflowNames = ["assignments", "runs", "check"] as const;

/** The JSON Schema (2020-12) of a workflow file, for editors. */
export const workflowJsonSchema = (): object =>
  z.toJSONSchema(workflowDefinition, { target: "draft-2020-12", io: "input", unrepresentable: "any" });
