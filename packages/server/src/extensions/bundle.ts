import { failure } from "@fuseml/core/errors";
import { parse } from "yaml";
import { z } from "zod";

const text = z.record(z.string(), z.string());

/** How an installable bundle is written (`extensions/<name>/bundle.yaml`). `${…}` are filled in when it is installed. */
const bundleSchema = z.strictObject({
  name: z.string(),
  description: z.string(),
  /** Requirements of a Python environment of its own. */
  python: z.array(z.string()).default([]),
  /** Names of TCP ports: `${port.NAME}`. The number is the preferred one. */
  ports: z.record(z.string(), z.number()).default({}),
  /** Names of random secrets: `${secret.NAME}`. */
  secrets: z.array(z.string()).default([]),
  /** Directories below `${data}` that must be there. */
  directories: z.array(z.string()).default([]),
  /** Long-living processes, started in this order. The command is a program of the environment. */
  processes: z
    .array(
      z.strictObject({
        name: z.string(),
        command: z.array(z.string()).min(1),
        env: text.default({}),
        health: z.string(),
        readyWithinSeconds: z.number().default(120),
      }),
    )
    .default([]),
  /** The record for the Extension Registry. */
  extension: z.looseObject({ id: z.string(), product: z.string() }),
});

export type Bundle = z.output<typeof bundleSchema>;

/** Reads a bundle. @throws `server.configuration` */
export function parseBundle(yaml: string, file: string): Bundle {
  const parsed = bundleSchema.safeParse(parse(yaml));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw failure("server.configuration", { name: file, reason: `${issue?.path.join(".")}: ${issue?.message}` });
}

/** Fills in `${name}` everywhere. @throws when a name is not known */
export function fillIn<T>(value: T, known: Readonly<Record<string, string>>): T {
  if (typeof value === "string") {
    return value.replaceAll(/\$\{([^}]+)\}/g, (_all, name: string) => {
      const found = known[name];
      if (found === undefined) throw new Error(`a bundle refers to \${${name}}, which is not known`);
      return found;
    }) as T;
  }
  if (Array.isArray(value)) return value.map((item: unknown) => fillIn(item, known)) as T;
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fillIn(item as unknown, known)])) as T;
  }
  return value;
}
