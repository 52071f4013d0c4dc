import { z } from "zod";
import { artifactKinds, namePattern } from "../artifact/address.ts";

/** Upstream's word for code as an input. */
export const artifactInputKinds = ["codeset", ...artifactKinds] as const;

const parameter = z
  .looseObject({
    description: z.string().optional(),
    optional: z.boolean().optional(),
    defaultValue: z.union([z.string(), z.number(), z.boolean()]).optional(),
    path: z.string().optional(),
    labels: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: "RunnableParameter" });

const artifact = z
  .looseObject({
    description: z.string().optional(),
    optional: z.boolean().optional(),
    kind: z.enum(artifactInputKinds).optional(),
    path: z.string().optional(),
  })
  .meta({ id: "RunnableArtifact" });

const ports = z.object({
  parameters: z.record(z.string(), parameter).optional(),
  artifacts: z.record(z.string(), artifact).optional(),
});

/** Describes how an image is used as a step: what it takes, what it gives, what it runs. Upstream's schema. */
export const runnableDescriptor = z
  .object({
    id: z.string().regex(namePattern, "letters, digits, - and _ only").max(100),
    kind: z.string().default("custom").meta({ description: "builder, trainer, predictor, custom, …" }),
    description: z.string().default(""),
    author: z.string().default(""),
    source: z.string().default(""),
    container: z.object({
      image: z.string().min(1),
      entrypoint: z.string().optional(),
      args: z.array(z.string()).optional(),
      env: z.record(z.string(), z.string()).optional(),
    }),
    input: ports.optional(),
    output: ports.optional(),
    defaultInputPath: z.string().optional(),
    defaultOutputPath: z.string().optional(),
    labels: z.record(z.string(), z.string()).default({}),
    created: z.string().optional(),
  })
  .meta({ id: "Runnable" });

export type RunnableDescriptor = z.output<typeof runnableDescriptor>;
