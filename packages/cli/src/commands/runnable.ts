import { readFileSync } from "node:fs";
import { failure } from "@fuseml/core/errors";
import type { Command } from "commander";
import { parse } from "yaml";
import { printList, printValue } from "../output.ts";
import { action, collect, listOptions, nameOf, valueOptions, withExample } from "../session.ts";

export function addRunnableCommands(program: Command): void {
  const runnable = program.command("runnable").description("runnables: described step images");
  withExample(
    runnable.command("register <file>").description("register a runnable from a YAML or JSON descriptor"),
    "fuseml runnable register trainer.yaml",
  ).action(
    action(async ({ client, terminal }, _options, [file = ""]) => {
      let body: unknown;
      try {
        body = parse(readFileSync(file, "utf8"));
      } catch (error) {
        throw failure(
          "request.invalid",
          { message: `${file} cannot be read: ${(error as Error).message}` },
          { cause: error },
        );
      }
      const { id } = await client.call("POST /runnables", {
        body: body as { id: string; container: { image: string } },
      });
      terminal.out(`Runnable ${id} successfully registered\nUse it in a step as: runnable: runnable://fuseml/${id}\n`);
    }),
  );
  withExample(
    listOptions(runnable.command("list").alias("ls").description("list runnables"))
      .option("-i, --id <pattern>", "regular expression")
      .option("-k, --kind <pattern>", "regular expression")
      .option("--label <name:pattern>", "may be repeated", collect),
    "fuseml runnable list --kind 'train.*'",
  ).action(
    action<{ id?: string; kind?: string; label?: string[]; format: string; field?: string[] }>(
      async ({ client, terminal }, options) => {
        const { id, kind, label } = options;
        const runnables = await client.call("GET /runnables", {
          query: { ...(id ? { id } : {}), ...(kind ? { kind } : {}), ...(label ? { labels: label } : {}) },
        });
        printList(
          terminal,
          runnables,
          [
            { title: "ID", text: (of) => of.id },
            { title: "Kind", text: (of) => of.kind },
            { title: "Description", text: (of) => of.description },
            {
              title: "Labels",
              text: (of) =>
                Object.entries(of.labels)
                  .map(([key, value]) => `${key}:${value}`)
                  .join(", "),
            },
          ],
          options,
        );
      },
    ),
  );
  withExample(
    valueOptions(runnable.command("get [id]").description("show a runnable").option("-i, --id <id>")),
    "fuseml runnable get trainer",
  ).action(
    action<{ id?: string; format: string }>(async ({ client, terminal }, options, args) => {
      const id = nameOf(options.id ? { name: options.id } : {}, args, "runnable");
      printValue(terminal, await client.call("GET /runnables/{id}", { params: { id } }), options.format);
    }),
  );
}
