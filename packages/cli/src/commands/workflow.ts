import { readFileSync } from "node:fs";
import type { Diagnostic } from "@fuseml/core/diagnostic";
import { FuseError, failure, workflowInvalid } from "@fuseml/core/errors";
import { checkWorkflow } from "@fuseml/core/workflow/check";
import { type ParsedWorkflow, parseWorkflow } from "@fuseml/core/workflow/parse";
import type { Command } from "commander";
import { printList, printValue } from "../output.ts";
import { action, listOptions, nameOf, valueOptions, withExample } from "../session.ts";
import { assignmentCommands } from "./workflow-assign.ts";
import { workflowRunCommands } from "./workflow-run.ts";

export function addWorkflowCommands(program: Command): void {
  for (const word of ["workflow", "pipeline"]) {
    const workflow = program
      .command(word, { hidden: word === "pipeline" })
      .description("workflows: from code to a served model");
    definitionCommands(workflow);
    assignmentCommands(workflow);
    workflowRunCommands(workflow);
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
