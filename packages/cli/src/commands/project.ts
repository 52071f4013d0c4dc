import type { Command } from "commander";
import { printList, printValue } from "../output.ts";
import { action, listOptions, nameOf, valueOptions, withExample } from "../session.ts";
import { writeSettings } from "../settings.ts";

export function addProjectCommands(program: Command): void {
  const project = program.command("project").description("projects: tenants that own codesets");
  withExample(
    project
      .command("create [name]")
      .description("create a project")
      .option("-n, --name <name>")
      .option("-d, --desc <text>", "description"),
    "fuseml project create wines",
  ).action(
    action<{ name?: string; desc?: string }>(async ({ client, terminal }, options, args) => {
      const name = nameOf(options, args, "project");
      await client.call("POST /projects", { query: { name, description: options.desc ?? "" } });
      terminal.out(`Project ${name} successfully created\n`);
    }),
  );
  withExample(
    project
      .command("limit <name> <steps>")
      .description("limit how many steps of the project's runs run at once; `none` takes the limit away"),
    "fuseml project limit wines 4",
  ).action(
    action(async ({ client, terminal }, _options, [name = "", steps = ""]) => {
      const parallelism = steps === "none" ? null : Number(steps);
      await client.call("PUT /projects/{name}/parallelism", { params: { name }, body: { parallelism } });
      terminal.out(
        parallelism === null ? `Project ${name} has no limit\n` : `Project ${name} runs ${steps} steps at once\n`,
      );
    }),
  );
  withExample(
    valueOptions(project.command("get [name]").description("show a project").option("-n, --name <name>")),
    "fuseml project get wines",
  ).action(
    action<{ name?: string; format: string }>(async ({ client, terminal }, options, args) => {
      printValue(
        terminal,
        await client.call("GET /projects/{name}", { params: { name: nameOf(options, args, "project") } }),
        options.format,
      );
    }),
  );
  withExample(
    listOptions(project.command("list").alias("ls").description("list projects")),
    "fuseml project list -o json",
  ).action(
    action<{ format: string; field?: string[] }>(async ({ client, terminal }, options) => {
      const projects = await client.call("GET /projects");
      printList(
        terminal,
        projects,
        [
          { title: "Name", text: (of) => of.name },
          { title: "Description", text: (of) => of.description },
          { title: "Users", text: (of) => of.users.map((user) => user.name).join(", ") },
        ],
        options,
      );
    }),
  );
  withExample(
    project
      .command("delete [name]")
      .alias("rm")
      .description("delete a project that has no codesets")
      .option("-n, --name <name>"),
    "fuseml project delete wines",
  ).action(
    action<{ name?: string }>(async ({ client, terminal }, options, args) => {
      const name = nameOf(options, args, "project");
      await client.call("DELETE /projects/{name}", { params: { name } });
      terminal.out(`Project ${name} successfully deleted\n`);
    }),
  );
  withExample(
    project.command("set [name]").description("choose the current project").option("-n, --name <name>"),
    "fuseml project set wines",
  ).action(
    action<{ name?: string }>(async ({ client, terminal, env }, options, args) => {
      const name = nameOf(options, args, "project");
      await client.call("GET /projects/{name}", { params: { name } });
      writeSettings(env, { currentproject: name });
      terminal.out(`Current project is now ${name}\n`);
    }),
  );
}
