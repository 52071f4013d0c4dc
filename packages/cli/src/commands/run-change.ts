import { readFileSync } from "node:fs";
import { failure } from "@fuseml/core/errors";
import type { Command } from "commander";
import { exitCodeOf, followRun } from "../follow-run.ts";
import { codesetInput, inputValues } from "../inputs.ts";
import { action, collect, type Session, withExample } from "../session.ts";
import { readWorkflow } from "./workflow.ts";

const waitOption = (command: Command): Command =>
  command.option("--wait", "show its progress; the exit code is its result");

async function done(
  { client, terminal }: Session,
  run: string,
  words: string,
  wait: boolean | undefined,
): Promise<void> {
  terminal.out(`${words}\n`);
  if (wait) process.exitCode = exitCodeOf(await followRun(client, run, terminal));
}

/** What people do to runs in any state. */
export function addRunChangeCommands(run: Command): void {
  againCommands(run);
  editCommands(run);
  stepwiseCommands(run);
  approvalCommands(run);
  withExample(
    run
      .command("prune")
      .description("remove runs that ended long ago, with their history and logs; what an application came from stays")
      .requiredOption("--older-than <duration>", "since their end: 30d, 12h")
      .option("--keep <n>", "of each workflow so many of the newest stay", "0")
      .option("-n, --name <name>", "of this workflow only")
      .option("--dry-run", "only say which"),
    "fuseml run prune --older-than 30d --keep 10 --dry-run",
  ).action(
    action<{ olderThan: string; keep: string; name?: string; dryRun?: boolean }>(
      async ({ client, terminal }, { olderThan, keep, name, dryRun = false }) => {
        const { runs } = await client.call("POST /runs/prune", {
          body: { olderThan, keep: Number(keep), dryRun, ...(name ? { workflow: name } : {}) },
        });
        if (dryRun) for (const id of runs) terminal.out(`${id}\n`);
        terminal.out(dryRun ? `${runs.length} runs would be removed\n` : `Removed ${runs.length} runs\n`);
      },
    ),
  );
}

function againCommands(run: Command): void {
  withExample(
    waitOption(
      run
        .command("resume <run>")
        .description("go on with a failed or cancelled run on the same inputs; finished steps are not run again")
        .option("--from <step>", "run this step and what depends on it once more"),
    ),
    "fuseml run resume run_01h9 --wait",
  ).action(
    action<{ from?: string; wait?: boolean }>(async (session, { from, wait }, [id = ""]) => {
      const body = from === undefined ? {} : { from };
      const { run: found } = await session.client.call("POST /runs/{id}/resume", { params: { id }, body });
      await done(session, found, `Resumed ${found}`, wait);
    }),
  );
  withExample(
    waitOption(
      run
        .command("retry <run> <step>")
        .description("run a step once more, then what depends on it; also while the run is live"),
    ),
    "fuseml run retry run_01h9 trainer",
  ).action(
    action<{ wait?: boolean }>(async (session, { wait }, [id = "", step = ""]) => {
      const { run: found } = await session.client.call("POST /runs/{id}/steps/{step}/retry", { params: { id, step } });
      await done(session, found, `Step ${step} of ${found} runs again`, wait);
    }),
  );
  withExample(
    waitOption(
      run
        .command("skip <run> <step>")
        .description("leave a step out; what uses its outputs is left out, too, unless they are given")
        .option("--output <name=value>", "what the step would have given; may be repeated", collect),
    ),
    "fuseml run skip run_01h9 builder --output image=registry.local/env:1",
  ).action(
    action<{ output?: string[]; wait?: boolean }>(async (session, { output, wait }, [id = "", step = ""]) => {
      const body = { outputs: inputValues(output) };
      const { run: found } = await session.client.call("POST /runs/{id}/steps/{step}/skip", {
        params: { id, step },
        body,
      });
      await done(session, found, `Step ${step} of ${found} is skipped`, wait);
    }),
  );
}

function editCommands(run: Command): void {
  withExample(
    waitOption(
      run
        .command("swap <run> [step]")
        .description("replace what has not started: a step's image, or all by an edited workflow")
        .option("--image <image>", "of the step")
        .option("-f, --file <file>", "the edited workflow; print the present one with `fuseml run definition`"),
    ),
    "fuseml run swap run_01h9 predictor --image ghcr.io/fuseml/kserve-predictor:next",
    "fuseml run swap run_01h9 -f edited.yaml",
  ).action(
    action<{ image?: string; file?: string; wait?: boolean }>(async (session, options, [id = "", step]) => {
      const { image, file, wait } = options;
      if ((image === undefined) === (file === undefined)) {
        throw failure("request.invalid", { message: "either --image with a step, or --file, is asked for" });
      }
      const body =
        file === undefined ? { ...(step ? { step } : {}), ...(image ? { image } : {}) } : { definition: edited(file) };
      const { run: found } = await session.client.call("POST /runs/{id}/swap", { params: { id }, body });
      await done(session, found, `Changed ${found}`, wait);
    }),
  );
  withExample(
    waitOption(
      run
        .command("fork <run>")
        .description("start a run that takes over what this one has finished before a step")
        .requiredOption("--from <step>", "this step and what depends on it run anew")
        .option("-c, --codeset <project/codeset[@ref]>", "other code")
        .option("-i, --input <name=value>", "another input; may be repeated", collect)
        .option("-f, --file <file>", "an edited workflow"),
    ),
    "fuseml run fork run_01h9 --from trainer --codeset workspace/wines@fix --wait",
  ).action(
    action<{ from: string; codeset?: string; input?: string[]; file?: string; wait?: boolean }>(
      async (session, { from, codeset, input, file, wait }, [id = ""]) => {
        const { workflowRef } = await session.client.call("GET /runs/{id}", { params: { id } });
        const inputs = {
          ...inputValues(input),
          ...(codeset ? await codesetInput(session, workflowRef, codeset) : {}),
        };
        const body = { from, inputs, ...(file === undefined ? {} : { definition: edited(file) }) };
        const { run: forked } = await session.client.call("POST /runs/{id}/fork", { params: { id }, body });
        await done(session, forked, `Started ${forked}`, wait);
      },
    ),
  );
}

/** The text of a workflow file that was found right. */
function edited(file: string): string {
  readWorkflow(file);
  return readFileSync(file, "utf8");
}

function stepwiseCommands(run: Command): void {
  withExample(
    run.command("pause <run>").description("from here on go step by step; what is under way runs to its end"),
    "fuseml run pause run_01h9",
  ).action(
    action(async (session, _options, [id = ""]) => {
      const { run: found } = await session.client.call("POST /runs/{id}/pause", { params: { id } });
      await done(session, found, `${found} goes step by step: fuseml run next ${found}`, false);
    }),
  );
  withExample(
    run
      .command("next <run> [step]")
      .description("let the next step of a run that goes step by step start")
      .option("--all", "go on without pauses"),
    "fuseml run next run_01h9",
  ).action(
    action<{ all?: boolean }>(async (session, { all = false }, [id = "", step]) => {
      const body = { all, ...(step ? { step } : {}) };
      const { run: found, steps = [] } = await session.client.call("POST /runs/{id}/next", { params: { id }, body });
      await done(session, found, all ? `${found} goes on` : `Step ${steps.join(", ")} of ${found} starts`, false);
    }),
  );
}

function approvalCommands(run: Command): void {
  for (const [verdict, words] of [
    ["approve", "let a step that waits for approval start"],
    ["reject", "refuse a step that waits for approval: it fails"],
  ] as const) {
    withExample(
      run.command(`${verdict} <run> <step>`).description(words).option("--comment <text>", "kept with the decision"),
      `fuseml run ${verdict} run_01h9 predictor --comment "accuracy is ${verdict === "approve" ? "fine" : "too low"}"`,
    ).action(
      action<{ comment?: string }>(async (session, { comment = "" }, [id = "", step = ""]) => {
        const { run: found } = await session.client.call(`POST /runs/{id}/steps/{step}/${verdict}`, {
          params: { id, step },
          body: { comment },
        });
        await done(
          session,
          found,
          `Step ${step} of ${found} is ${verdict === "approve" ? "approved" : "rejected"}`,
          false,
        );
      }),
    );
  }
}
