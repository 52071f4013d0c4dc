import { failure } from "@fuseml/core/errors";
import type { Command } from "commander";
import { outColours as pc } from "../colours.ts";
import { describeStep, explainRun } from "../explain-run.ts";
import { describeCause, describeError, exitCodeOf, followRun, type RunDetail, runDuration } from "../follow-run.ts";
import { duration, printValue, renderTable, type Terminal } from "../output.ts";
import { action, listOptions, nameOf, type Session, valueOptions, withExample } from "../session.ts";
import { addRunChangeCommands } from "./run-change.ts";
import { addRunFilters, listRuns } from "./run-list.ts";

export function addRunCommands(program: Command): void {
  const run = program.command("run").description("runs: executions of workflows");
  withExample(
    addRunFilters(listOptions(run.command("list").alias("ls").description("list runs, newest first"))),
    "fuseml run list --status Failed",
  ).action(action(listRuns));
  withExample(
    valueOptions(run.command("get <run>").description("show a run, its steps, and why it failed"), "text"),
    "fuseml run get run_01h9",
  ).action(
    action<{ format: string }>(async ({ client, terminal }, options, args) => {
      const found = await client.call("GET /runs/{id}", { params: { id: nameOf({}, args, "run") } });
      printValue(terminal, found, options.format, () => describeRun(found, terminal));
    }),
  );
  withExample(
    run
      .command("logs <run> [step]")
      .description("print the log of a run or of one step; secrets are masked")
      .option("-f, --follow", "go on until the run ends")
      .option("--attempt <n>", "of one step: which try; default the last one"),
    "fuseml run logs run_01h9 trainer -f",
  ).action(
    action<{ follow?: boolean; attempt?: string }>(async ({ client, terminal }, options, [id = "", step]) => {
      await printLogs({ client, terminal }, id, step, options);
    }),
  );
  withExample(
    run.command("wait <run>").description("wait until a run ends; the exit code is its result"),
    "fuseml run wait run_01h9",
  ).action(
    action(async ({ client, terminal }, _options, [id = ""]) => {
      process.exitCode = exitCodeOf(await followRun(client, id, terminal));
    }),
  );
  withExample(
    run.command("cancel <run>").description("cancel a run: its processes are gone when this returns"),
    "fuseml run cancel run_01h9",
  ).action(
    action(async ({ client, terminal }, _options, [id = ""]) => {
      const cancelled = await client.call("POST /runs/{id}/cancel", { params: { id } });
      terminal.out(`Run ${cancelled.name} cancelled\n`);
    }),
  );
  withExample(
    valueOptions(run.command("definition <run>").description("print the workflow that a run runs, edits included")),
    "fuseml run definition run_01h9 > edited.yaml",
  ).action(
    action<{ format: string }>(async ({ client, terminal }, options, [id = ""]) => {
      printValue(terminal, await client.call("GET /runs/{id}/definition", { params: { id } }), options.format);
    }),
  );
  withExample(
    valueOptions(
      run.command("env <run> <step>").description("print the image and variables that a step sees; secrets are masked"),
      "text",
    ),
    "fuseml run env run_01h9 trainer",
  ).action(
    action<{ format: string }>(async ({ client, terminal }, options, [id = "", step = ""]) => {
      const found = await client.call("GET /runs/{id}/steps/{step}/environment", { params: { id, step } });
      const lines = Object.entries(found.variables).map(([name, value]) => `${name}=${value}`);
      printValue(terminal, found, options.format, () => [`# ${found.image}`, ...lines].join("\n"));
    }),
  );
  addRunChangeCommands(run);
  withExample(
    valueOptions(
      run.command("explain <run>").description("why it ran, on what, with which extensions, and what happened"),
      "text",
    ),
    "fuseml run explain run_01h9",
  ).action(
    action<{ format: string }>(async ({ client, terminal }, options, [id = ""]) => {
      const found = await client.call("GET /runs/{id}", { params: { id } });
      const history = await client.call("GET /runs/{id}/history", { params: { id } });
      printValue(terminal, { ...found, history }, options.format, () => explainRun(found, history));
    }),
  );
}

async function printLogs(
  { client, terminal }: Pick<Session, "client" | "terminal">,
  id: string,
  step: string | undefined,
  { follow, attempt }: { follow?: boolean; attempt?: string },
): Promise<void> {
  let heading = "";
  const query = {
    ...(step ? { step } : {}),
    ...(follow ? { follow: "true" as const } : {}),
    ...(attempt ? { attempt } : {}),
  };
  for await (const { event, data } of client.stream("GET /runs/{id}/logs", { params: { id }, query })) {
    if (event === "error") throw failure("request.invalid", { message: (data as { message: string }).message });
    if (event !== "log") continue;
    const { step: of, text } = data as { step: string; text: string };
    if (step === undefined && of !== heading) {
      heading = of;
      terminal.out(`${pc.bold(`── ${of} ──`)}\n`);
    }
    terminal.out(text);
  }
}

function describeRun(run: RunDetail, at: Terminal): string {
  const lines = [
    `${pc.bold("Run")}       ${run.name}`,
    `${pc.bold("Workflow")}  ${run.workflowRef} (version ${run.workflowVersion})`,
    `${pc.bold("Status")}    ${run.status}${run.status === "Failed" || run.status === "Cancelled" ? describeError(run) : ""}`,
    `${pc.bold("Cause")}     ${describeCause(run)}`,
    `${pc.bold("Started")}   ${run.startTime}   ${runDuration(run)}`,
    ...run.inputs.map((input) => `${pc.bold("Input")}     ${input.input.name} = ${input.value}`),
    ...run.outputs.map((output) => `${pc.bold("Output")}    ${output.output.name} = ${output.value}`),
    ...(run.stepByStep ? [`${pc.bold("Mode")}      step by step: fuseml run next ${run.name}`] : []),
  ];
  const steps = run.steps.map((step) => [
    step.name,
    describeStep(step),
    step.started && step.ended && !step.reused ? duration(Date.parse(step.ended) - Date.parse(step.started)) : "",
    Object.entries(step.outputs)
      .map(([name, value]) => `${name}=${value}`)
      .join(" "),
  ]);
  const more = run.stepCount - run.steps.length;
  const rest = more > 0 ? `\n… and ${more} more steps` : "";
  return `${lines.join("\n")}\n\n${renderTable(["Step", "Status", "Duration", "Outputs"], steps, at.width)}${rest}`;
}
