import type { Command } from "commander";
import { outColours as pc } from "../colours.ts";
import { describeCause, describeError, exitCodeOf, followRun, type RunDetail, runDuration } from "../follow-run.ts";
import { duration, printValue, renderTable, type Terminal } from "../output.ts";
import { action, listOptions, nameOf, type Session, valueOptions, withExample } from "../session.ts";
import { addRunFilters, listRuns } from "./workflow.ts";

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
      .option("-f, --follow", "go on until the run ends"),
    "fuseml run logs run_01h9 trainer -f",
  ).action(
    action<{ follow?: boolean }>(async ({ client, terminal }, options, [id = "", step]) => {
      await printLogs({ client, terminal }, id, step, options.follow ?? false);
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
  follow: boolean,
): Promise<void> {
  let heading = "";
  const query = { ...(step ? { step } : {}), ...(follow ? { follow: "true" as const } : {}) };
  for await (const { event, data } of client.stream("GET /runs/{id}/logs", { params: { id }, query })) {
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
  ];
  const steps = run.steps.map((step) => [
    step.name,
    step.status,
    step.started && step.ended ? duration(Date.parse(step.ended) - Date.parse(step.started)) : "",
    Object.entries(step.outputs)
      .map(([name, value]) => `${name}=${value}`)
      .join(" "),
  ]);
  return `${lines.join("\n")}\n\n${renderTable(["Step", "Status", "Duration", "Outputs"], steps, at.width)}`;
}

function explainRun(
  run: RunDetail,
  history: readonly { type: string; time: string; data: Record<string, unknown> }[],
): string {
  const lines = [`${run.name} ran version ${run.workflowVersion} of ${run.workflowRef}: ${describeCause(run)}.`];
  for (const { input, value } of run.inputs) lines.push(`  input ${input.name} was ${value}`);
  for (const step of run.steps) {
    lines.push(`step ${step.name}: ${step.status}${whySkipped(run, step.name, step.status)}`);
    for (const [name, choice] of Object.entries(step.extensions)) {
      lines.push(
        `  extension ${name} → ${choice.extension}/${choice.service} at ${choice.endpoint || "(no endpoint)"}${choice.credentials ? `, credentials ${choice.credentials}` : ""}`,
      );
    }
    if (step.error)
      lines.push(`  ${step.error.message} [${step.error.code}]${step.error.hint ? `\n  ${step.error.hint}` : ""}`);
  }
  lines.push(
    "history:",
    ...history.map(
      ({ time, type, data }) => `  ${time}  ${type}${typeof data.step === "string" ? ` ${data.step}` : ""}`,
    ),
  );
  return lines.join("\n");
}

function whySkipped(run: RunDetail, name: string, status: string): string {
  if (status !== "Skipped") return "";
  const before = run.steps
    .slice(
      0,
      run.steps.findIndex((step) => step.name === name),
    )
    .findLast((step) => step.status === "Failed" || step.status === "Cancelled");
  return before
    ? `, because step ${before.name} ${before.status === "Failed" ? "failed" : "was cancelled"}`
    : `, because the run ${run.status === "Cancelled" ? "was cancelled" : "failed"} before it`;
}
