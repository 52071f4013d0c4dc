import type { Command } from "commander";
import { printList, printValue } from "../output.ts";
import { action, listOptions, nameOf, valueOptions, withExample } from "../session.ts";

export function addApplicationCommands(program: Command): void {
  const application = program.command("application").alias("app").description("applications: what serves");
  withExample(
    listOptions(application.command("list").alias("ls").description("list applications"))
      .option("-t, --type <type>")
      .option("-w, --workflow <workflow>"),
    "fuseml application list --workflow mlflow-e2e",
  ).action(
    action<{ type?: string; workflow?: string; format: string; field?: string[] }>(
      async ({ client, terminal }, options) => {
        const applications = await client.call("GET /applications", {
          query: {
            ...(options.type ? { type: options.type } : {}),
            ...(options.workflow ? { workflow: options.workflow } : {}),
          },
        });
        printList(
          terminal,
          applications,
          [
            { title: "Name", text: (of) => of.name },
            { title: "Type", text: (of) => of.type },
            { title: "Description", text: (of) => of.description },
            { title: "URL", text: (of) => of.url },
            { title: "Workflow", text: (of) => of.workflow },
          ],
          options,
        );
      },
    ),
  );
  withExample(
    valueOptions(application.command("get [name]").description("show an application").option("-n, --name <name>")),
    "fuseml application get wines-workspace",
  ).action(
    action<{ name?: string; format: string }>(async ({ client, terminal }, options, args) => {
      printValue(
        terminal,
        await client.call("GET /applications/{name}", { params: { name: nameOf(options, args, "application") } }),
        options.format,
      );
    }),
  );
  withExample(
    application
      .command("lineage [name]")
      .description("from which commit, run and model it came")
      .option("-n, --name <name>"),
    "fuseml application lineage wines-workspace",
  ).action(
    action<{ name?: string }>(async ({ client, terminal }, options, args) => {
      const { summary } = await client.call("GET /applications/{name}/lineage", {
        params: { name: nameOf(options, args, "application") },
      });
      terminal.out(`${summary}\n`);
    }),
  );
  withExample(
    application
      .command("delete [name]")
      .alias("rm")
      .description("delete an application and what serves it")
      .option("-n, --name <name>"),
    "fuseml application delete wines-workspace",
  ).action(
    action<{ name?: string }>(async ({ client, terminal }, options, args) => {
      const name = nameOf(options, args, "application");
      await client.call("DELETE /applications/{name}", { params: { name } });
      terminal.out(`Application ${name} successfully deleted\n`);
    }),
  );
}
