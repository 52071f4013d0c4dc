import { readFileSync } from "node:fs";
import type { Diagnostic } from "@fuseml/core/diagnostic";
import { FuseError, failure, workflowInvalid } from "@fuseml/core/errors";
import { checkWorkflow } from "@fuseml/core/workflow/check";
import { type ParsedWorkflow, parseWorkflow } from "@fuseml/core/workflow/parse";
import type { Command } from "commander";
import { exitCodeOf, followRun, runDuration } from "../follow-run.ts";
import { printList, printValue } from "../output.ts";
import {
  action,
  codesetOf,
  collect,
  listOptions,
  nameOf,
  projectOf,
  type Session,
  valueOptions,
  withExample,
} from "../session.ts";

type Assign = { name?: string; codesetProject?: string; codesetName?: string; input?: string[]; wait?: boolean };

export function addWorkflowCommands(program: Command): void {
  for (const word of ["workflow", "pipeline"]) {
    const workflow = program
      .command(word, { hidden: word === "pipeline" })
      .description("workflows: from code to a served model");
    definitionCommands(workflow);
    assignmentCommands(workflow);
    runCommands(workflow);
  }
}

function definitionCommands(workflow: Command): void {
  withExample(
    workflow.command("create <file>").description("create a workflow from a YAML or JSON file"),
    "fuseml workflow create mlflow-e2e.yaml",
  ).action(
    action(async (session, _options, [file = ""]) => {
      const { text, parsed } = readWorkflow(file);
      const created = await told(parsed, () => session.client.call("POST /workflows", { body: text }));
      session.terminal.out(`Workflow "${created.name}" successfully created\n`);
    }),
  );
  withExample(
    workflow
      .command("update <file>")
      .description("make a new version of a workflow; runs keep the version that they started with"),
    "fuseml workflow update mlflow-e2e.yaml",
  ).action(
    action(async (session, _options, [file = ""]) => {
      const { text, parsed } = readWorkflow(file);
      const { name } = parsed.definition;
      const updated = await told(parsed, () =>
        session.client.call("PUT /workflows/{name}", { params: { name }, body: text }),
      );
      session.terminal.out(`Workflow "${updated.name}" is at version ${updated.version}\n`);
    }),
  );
  withExample(
    workflow
      .command("check <file>")
      .description("say everything that is wrong with a workflow file")
      .option("--offline", "without asking the server about extensions"),
    "fuseml workflow check mlflow-e2e.yaml",
  ).action(
    action<{ offline?: boolean }>(async (session, options, [file = ""]) => {
      const { text, parsed } = readWorkflow(file);
      if (!options.offline) {
        const { diagnostics } = await session.client.call("POST /workflows/check", { body: text });
        if (diagnostics.length > 0) throw workflowInvalid(diagnostics.map((of) => inFile(of as Diagnostic, parsed)));
      }
      session.terminal.out(`${file}: workflow "${parsed.definition.name}" is valid\n`);
    }),
  );
  withExample(
    listOptions(workflow.command("list").alias("ls").description("list workflows").option("-n, --name <name>")),
    "fuseml workflow list",
  ).action(
    action<{ name?: string; format: string; field?: string[] }>(async ({ client, terminal }, options) => {
      const workflows = await client.call("GET /workflows", { query: options.name ? { name: options.name } : {} });
      printList(
        terminal,
        workflows,
        [
          { title: "Name", text: (of) => of.name },
          { title: "Description", text: (of) => (of.description ?? "").trim().split("\n")[0] ?? "" },
          { title: "Inputs", text: (of) => (of.inputs ?? []).map((input) => input.name).join(", ") },
          { title: "Outputs", text: (of) => (of.outputs ?? []).map((output) => output.name).join(", ") },
          { title: "Version", text: (of) => String(of.version) },
        ],
        options,
      );
    }),
  );
  withExample(
    valueOptions(workflow.command("get [name]").description("show a workflow").option("-n, --name <name>")),
    "fuseml workflow get mlflow-e2e",
  ).action(
    action<{ name?: string; format: string }>(async ({ client, terminal }, options, args) => {
      printValue(
        terminal,
        await client.call("GET /workflows/{name}", { params: { name: nameOf(options, args, "workflow") } }),
        options.format,
      );
    }),
  );
  withExample(
    workflow
      .command("delete [name]")
      .alias("rm")
      .description("delete a workflow and its assignments")
      .option("-n, --name <name>"),
    "fuseml workflow delete mlflow-e2e",
  ).action(
    action<{ name?: string }>(async ({ client, terminal }, options, args) => {
      const name = nameOf(options, args, "workflow");
      await client.call("DELETE /workflows/{name}", { params: { name } });
      terminal.out(`Workflow ${name} successfully deleted\n`);
    }),
  );
}

function assignmentCommands(workflow: Command): void {
  const target = (command: Command) =>
    command
      .option("-n, --name <name>", "workflow")
      .option("-p, --codeset-project <project>", "default: the current project")
      .option("-c, --codeset-name <codeset>", "default: the current codeset");
  withExample(
    target(
      workflow.command("assign [name]").description("attach a workflow to a codeset: it runs now and at each push"),
    )
      .option(
        "-i, --input <name=value>",
        "bind an input: code://* for every codeset, or a value; may be repeated",
        collect,
      )
      .option("--wait", "wait for the run that it starts; the exit code is its result"),
    "fuseml workflow assign --name mlflow-e2e --codeset-name wines --codeset-project workspace",
    "fuseml workflow assign mlflow-e2e --input mlflow-codeset=code://workspace/*",
  ).action(
    action<Assign>(async (session, options, args) => {
      const { client, terminal } = session;
      const name = nameOf(options, args, "workflow");
      const inputs = inputValues(options.input);
      const bound = Object.values(inputs).some((value) => value.startsWith("code://"));
      const codeset =
        bound && !options.codesetName
          ? {}
          : {
              codesetProject: projectOf(session, options.codesetProject),
              codesetName: codesetOf(session, options.codesetName),
            };
      const { runs } = await client.call("POST /workflows/assignments", {
        query: { name, ...codeset },
        body: { inputs },
      });
      terminal.out(
        `Workflow "${name}" assigned to ${codeset.codesetName ? `codeset "${codeset.codesetProject}/${codeset.codesetName}"` : Object.values(inputs).join(", ")}\n`,
      );
      terminal.out(runs.length > 0 ? `Started ${runs.join(", ")}\n` : "No run was started: nothing new to run\n");
      if (options.wait)
        for (const run of runs)
          process.exitCode = Math.max(
            Number(process.exitCode ?? 0),
            exitCodeOf(await followRun(client, run, terminal)),
          );
    }),
  );
  withExample(
    target(workflow.command("unassign [name]").description("detach a workflow from a codeset")),
    "fuseml workflow unassign mlflow-e2e -c wines -p workspace",
  ).action(
    action<Assign>(async (session, options, args) => {
      const name = nameOf(options, args, "workflow");
      const query = {
        codesetProject: projectOf(session, options.codesetProject),
        codesetName: codesetOf(session, options.codesetName),
      };
      await session.client.call("DELETE /workflows/assignments/{name}", { params: { name }, query });
      session.terminal.out(
        `Workflow "${name}" unassigned from codeset "${query.codesetProject}/${query.codesetName}"\n`,
      );
    }),
  );
  withExample(
    listOptions(
      workflow
        .command("list-assignments")
        .description("list what is assigned to what")
        .option("-n, --name <name>", "of this workflow"),
    ),
    "fuseml workflow list-assignments",
  ).action(
    action<{ name?: string; format: string; field?: string[] }>(async ({ client, terminal }, options) => {
      const assignments = await client.call("GET /workflows/assignments", {
        query: options.name ? { name: options.name } : {},
      });
      printList(
        terminal,
        assignments,
        [
          { title: "Workflow", text: (of) => of.workflow },
          {
            title: "Codesets",
            text: (of) =>
              of.codesets.map((codeset) => `${codeset.project}/${codeset.name}`).join(", ") ||
              Object.values(of.inputs).join(", "),
          },
          { title: "Status", text: (of) => (of.status.available ? "Available" : "Unavailable") },
        ],
        options,
      );
    }),
  );
}

function runCommands(workflow: Command): void {
  withExample(
    workflow
      .command("run [name]")
      .description("start a run by hand")
      .option("-n, --name <name>", "workflow")
      .option("-i, --input <name=value>", "an input; may be repeated", collect)
      .option("-c, --codeset <project/codeset[@ref]>", "for the codeset input")
      .option("--wait", "show its progress; the exit code is its result"),
    "fuseml workflow run mlflow-e2e --codeset workspace/wines@main --input predictor=auto --wait",
  ).action(
    action<{ name?: string; input?: string[]; codeset?: string; wait?: boolean }>(async (session, options, args) => {
      const { client, terminal } = session;
      const name = nameOf(options, args, "workflow");
      const inputs = {
        ...inputValues(options.input),
        ...(options.codeset ? await codesetInput(session, name, options.codeset) : {}),
      };
      const run = await client.call("POST /workflows/{name}/runs", { params: { name }, body: { inputs } });
      terminal.out(`Started ${run.name}\n`);
      if (options.wait) process.exitCode = exitCodeOf(await followRun(client, run.name, terminal));
    }),
  );
  withExample(
    addRunFilters(listOptions(workflow.command("list-runs").description("list runs, newest first"))),
    "fuseml workflow list-runs --status Failed",
  ).action(action(listRuns));
}

export type RunFilters = {
  name?: string;
  codesetProject?: string;
  codesetName?: string;
  status?: string;
  limit?: string;
  before?: string;
  format: string;
  field?: string[];
};

export const addRunFilters = (command: Command): Command =>
  command
    .option("-n, --name <name>", "of this workflow")
    .option("-p, --codeset-project <project>", "of codesets of this project")
    .option("-c, --codeset-name <codeset>", "of this codeset")
    .option("-s, --status <status>", "Pending, Running, Succeeded, Failed or Cancelled")
    .option("--limit <n>", "at most so many", "100")
    .option("--before <run>", "older than this run: the next page");

export async function listRuns({ client, terminal }: Session, options: RunFilters): Promise<void> {
  const { name, codesetProject, codesetName, status, before, limit } = options;
  const runs = await client.call("GET /workflows/runs", {
    query: {
      ...(name ? { name } : {}),
      ...(codesetProject ? { codesetProject } : {}),
      ...(codesetName ? { codesetName } : {}),
      ...(status ? { status } : {}),
      ...(before ? { before } : {}),
      limit: limit ?? "100",
    },
  });
  printList(
    terminal,
    runs,
    [
      { title: "Name", text: (of) => of.name },
      { title: "Workflow", text: (of) => of.workflowRef },
      { title: "Started", text: (of) => of.startTime.replace("T", " ").slice(0, 19) },
      { title: "Duration", text: (of) => runDuration(of) },
      { title: "Status", text: (of) => of.status },
    ],
    options,
  );
}

const inputValues = (given: readonly string[] | undefined): Record<string, string> =>
  Object.fromEntries(
    (given ?? []).map((pair) => {
      const equals = pair.indexOf("=");
      if (equals < 1) throw failure("request.invalid", { message: `--input "${pair}" is not NAME=VALUE` });
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );

async function codesetInput({ client }: Session, name: string, codeset: string): Promise<Record<string, string>> {
  const { inputs = [] } = await client.call("GET /workflows/{name}", { params: { name } });
  const [only, another] = inputs.filter((input) => input.type === "codeset");
  if (!only || another)
    throw failure("assignment.ambiguous", { workflow: name, inputs: inputs.map((input) => input.name).join(", ") });
  return { [only.name]: codeset };
}

/** Reads and checks a workflow file before the server sees it. @throws `workflow.invalid` with places in the file */
export function readWorkflow(file: string): { text: string; parsed: ParsedWorkflow & { file: string } } {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw failure(
      "request.invalid",
      { message: `${file} cannot be read: ${(error as Error).message}` },
      { cause: error },
    );
  }
  const parsed = parseWorkflow(text, file);
  if (!parsed.ok) throw workflowInvalid(parsed.error);
  const diagnostics = checkWorkflow(parsed.value.definition, { source: parsed.value.source });
  if (diagnostics.length > 0) throw workflowInvalid(diagnostics);
  return { text, parsed: { ...parsed.value, file } };
}

/** Gives the server's diagnostics their file. */
const inFile = (diagnostic: Diagnostic, { file }: { file: string }): Diagnostic =>
  diagnostic.at ? { ...diagnostic, at: { ...diagnostic.at, file } } : diagnostic;

async function told<T>(parsed: { file: string }, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FuseError && error.diagnostics.length > 0)
      throw workflowInvalid(error.diagnostics.map((of) => inFile(of, parsed)));
    throw error;
  }
}
