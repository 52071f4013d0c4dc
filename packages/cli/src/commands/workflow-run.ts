import type { Reply } from "@fuseml/client/client";
import type { Command } from "commander";
import { exitCodeOf, followRun } from "../follow-run.ts";
import { codesetInput, inputValues } from "../inputs.ts";
import { printValue, renderTable, type Terminal } from "../output.ts";
import { action, collect, listOptions, nameOf, type Session, valueOptions, withExample } from "../session.ts";
import { addRunFilters, listRuns } from "./run-list.ts";

type RunOptions = {
  name?: string;
  input?: string[];
  codeset?: string;
  step?: boolean;
  cache?: boolean;
  wait?: boolean;
};

/** What starts runs, or says what they would do. */
export function workflowRunCommands(workflow: Command): void {
  withExample(
    workflow
      .command("run [name]")
      .description("start a run by hand")
      .option("-n, --name <name>", "workflow")
      .option("-i, --input <name=value>", "an input; may be repeated", collect)
      .option("-c, --codeset <project/codeset[@ref]>", "for the codeset input")
      .option("--step", "go step by step: each waits for `fuseml run next`")
      .option("--no-cache", "take no earlier results")
      .option("--wait", "show its progress; the exit code is its result"),
    "fuseml workflow run mlflow-e2e --codeset workspace/wines@main --input predictor=auto --wait",
  ).action(
    action<RunOptions>(async (session, options, args) => {
      const { client, terminal } = session;
      const name = nameOf(options, args, "workflow");
      const inputs = await givenInputs(session, name, options);
      const run = await client.call("POST /workflows/{name}/runs", {
        params: { name },
        body: { inputs, stepByStep: options.step ?? false, cache: options.cache ?? true },
      });
      terminal.out(`Started ${run.name}\n`);
      if (options.wait) process.exitCode = exitCodeOf(await followRun(client, run.name, terminal));
    }),
  );
  withExample(
    valueOptions(
      workflow
        .command("plan [name]")
        .description("say what a run would do: segments, agents, extensions, what would be reused")
        .option("-n, --name <name>", "workflow")
        .option("-i, --input <name=value>", "an input; may be repeated", collect)
        .option("-c, --codeset <project/codeset[@ref]>", "for the codeset input"),
      "text",
    ),
    "fuseml workflow plan mlflow-e2e --codeset workspace/wines@main",
  ).action(
    action<RunOptions & { format: string }>(async (session, options, args) => {
      const { client, terminal } = session;
      const name = nameOf(options, args, "workflow");
      const inputs = await givenInputs(session, name, options);
      const steps = await client.call("POST /workflows/{name}/plan", { params: { name }, body: { inputs } });
      printValue(terminal, steps, options.format, () => describePlan(steps, terminal));
      if (steps.some((step) => step.refused)) process.exitCode = 1;
    }),
  );
  withExample(
    addRunFilters(listOptions(workflow.command("list-runs").description("list runs, newest first"))),
    "fuseml workflow list-runs --status Failed",
  ).action(action(listRuns));
}

const givenInputs = async (session: Session, name: string, options: RunOptions): Promise<Record<string, string>> => ({
  ...inputValues(options.input),
  ...(options.codeset ? await codesetInput(session, name, options.codeset) : {}),
});

function describePlan(steps: Reply<"POST /workflows/{name}/plan">, at: Terminal): string {
  const rows = steps.map((step) => [
    step.segment === undefined ? "" : String(step.segment),
    step.stepRuns === undefined ? step.name : `${step.name} ×${step.stepRuns ?? "?"}`,
    step.refused ? "none" : (step.agent ?? ""),
    step.zone ?? "",
    step.image,
    step.reused ? `reused from ${step.reused}` : step.refused ? "cannot run" : step.segment ? "runs" : "",
  ]);
  const notes = steps.flatMap((step) => {
    const of = [
      ...step.notes,
      ...(step.needs.length > 0 ? [`waits for ${step.needs.join(", ")}`] : []),
      ...Object.entries(step.extensions).map(
        ([name, choice]) =>
          `extension ${name}: ${choice.extension}/${choice.service} at ${choice.endpoint || "(none)"}`,
      ),
      ...(step.notReused ? [`is not reused: ${step.notReused}`] : []),
      ...(step.refused ? [`no agent takes it: ${step.refused}`] : []),
    ];
    return of.length > 0 ? [`step ${step.name}`, ...of.map((note) => `  ${note}`)] : [];
  });
  const table = renderTable(["Segment", "Step", "Agent", "Zone", "Image", "Result"], rows, at.width);
  return notes.length > 0 ? `${table}\n\n${notes.join("\n")}` : table;
}
