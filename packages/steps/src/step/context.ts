import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "@fuseml/client/client";
import { inputNamesVariable, variableName } from "@fuseml/core/run/spec";

/** What is wrong with what the step was given: told to the user as it stands, with what to do next. */
export class StepError extends Error {
  override readonly name = "StepError";
  readonly hint: string | undefined;
  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** What a step program is told by its surroundings (the same on every agent), and how it answers. */
export type StepContext = {
  readonly env: NodeJS.ProcessEnv;
  readonly workingDirectory: string;
  /** A line of the step's log. */
  readonly say: (line: string) => void;
};

/** The value of an input parameter; nothing when it is missing or empty. */
export function parameter({ env }: StepContext, name: string): string | undefined {
  const text = env[variableName(name)];
  return text === undefined || text.trim() === "" ? undefined : text.trim();
}

/** @throws StepError when it is neither `true` nor `false` */
export function flagParameter(context: StepContext, name: string, fallback = false): boolean {
  const text = parameter(context, name);
  if (text === undefined) return fallback;
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
  throw new StepError(`parameter "${name}" is "${text}"`, "write true or false");
}

/** The value inputs of the step by name: what the workflow gave, and nothing of the machine's. */
export function valueInputs(context: StepContext): Record<string, string> {
  const names = (context.env[inputNamesVariable] ?? "").split(",").filter(Boolean);
  return Object.fromEntries(names.map((name) => [name, context.env[variableName(name)] ?? ""]));
}

/** The codeset that the working directory is a copy of, when it is one. */
export function codesetOf({ workingDirectory }: StepContext): { name: string; project: string } | undefined {
  const read = (file: string) => {
    const path = join(workingDirectory, ".fuseml", file);
    return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
  };
  const [name, project] = [read("_project"), read("_org")];
  return name && project ? { name, project } : undefined;
}

/** Writes the output of a step that has one output, whatever the workflow calls it. */
export function writeOutput({ env, say }: StepContext, fallbackName: string, value: string): void {
  const directory = env.FUSEML_RESULTS_DIR ?? "/tekton/results";
  const name = env.TASK_RESULT ?? fallbackName;
  writeFileSync(join(directory, name), value);
  say(`${name}: ${value}`);
}

/** The server that runs this step, when there is one. */
export function serverClient({ env }: StepContext): Client | undefined {
  return env.FUSEML_SERVER_URL ? new Client({ url: env.FUSEML_SERVER_URL, token: env.FUSEML_TOKEN }) : undefined;
}

/** Runs a step program: its errors are the last lines of its log, its exit code says that there was one. */
export async function runStep(program: (context: StepContext) => Promise<void>): Promise<void> {
  const say = (line: string) => process.stdout.write(`${line}\n`);
  try {
    await program({ env: process.env, workingDirectory: process.cwd(), say });
  } catch (error) {
    const { message, hint } = error as Partial<StepError>;
    if (error instanceof StepError || hint !== undefined) {
      say(`ERROR: ${message}`);
      if (hint) say(`  ${hint}`);
    } else say(`ERROR: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.exitCode = 1;
  }
}
