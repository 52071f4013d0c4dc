import { z } from "zod";
import { namePattern } from "../artifact/address.ts";

/** A scalar as YAML gives it (`5`, `true`, `text`), taken as text. */
const scalar = z
  .union([z.string(), z.number(), z.boolean()])
  .transform((value) => String(value))
  .meta({ description: "text, number or boolean; may hold {{ expressions }}" });

const name = z.string().regex(namePattern, "a name is letters, digits, _ and -, and starts with none of the dashes");

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

const step = z
  .strictObject({
    name,
    image: z.string().min(1).meta({ description: "container image; may hold {{ expressions }}" }),
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
