import { failure } from "@fuseml/core/errors";
import type { Command } from "commander";
import { printList } from "../output.ts";
import { action, listOptions, withExample } from "../session.ts";

type Filter = { workflow?: string; step?: string };

export function addCacheCommands(program: Command): void {
  const cache = program.command("cache").description("results of steps that are kept for reuse");
  const filtered = (command: Command): Command =>
    command.option("-w, --workflow <name>", "of this workflow").option("-s, --step <step>", "of this step");
  withExample(
    listOptions(filtered(cache.command("list").alias("ls").description("list kept results, newest first"))),
    "fuseml cache list --workflow mlflow-e2e",
  ).action(
    action<Filter & { format: string; field?: string[] }>(async ({ client, terminal }, options) => {
      const entries = await client.call("GET /cache", { query: filterOf(options) });
      printList(
        terminal,
        entries,
        [
          { title: "Key", text: (of) => of.key.slice(0, 19) },
          { title: "Workflow", text: (of) => of.workflow },
          { title: "Step", text: (of) => of.step },
          { title: "Made by", text: (of) => of.run },
          { title: "Used", text: (of) => of.used.replace("T", " ").slice(0, 19) },
          {
            title: "Outputs",
            text: (of) =>
              Object.entries(of.outputs)
                .map(([name, value]) => `${name}=${value}`)
                .join(" "),
          },
        ],
        options,
      );
    }),
  );
  withExample(
    filtered(
      cache
        .command("drop [key]")
        .description("drop kept results: their steps run again")
        .option("--all", "really all of them"),
    ),
    "fuseml cache drop --workflow mlflow-e2e --step builder",
  ).action(
    action<Filter & { all?: boolean }>(async ({ client, terminal }, options, [key]) => {
      if (!key && !options.workflow && !options.step && !options.all) {
        throw failure("request.invalid", {
          message: "which results?",
          hint: "name a key, a workflow, a step, or --all",
        });
      }
      const { dropped } = await client.call("DELETE /cache", {
        query: { ...filterOf(options), ...(key ? { key } : {}) },
      });
      terminal.out(`Dropped ${dropped} kept results\n`);
    }),
  );
}

const filterOf = ({ workflow, step }: Filter): Filter => ({
  ...(workflow ? { workflow } : {}),
  ...(step ? { step } : {}),
});
