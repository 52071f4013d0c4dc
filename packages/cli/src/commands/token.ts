import type { Command } from "commander";
import { printList } from "../output.ts";
import { action, collect, listOptions, withExample } from "../session.ts";

export function addTokenCommands(program: Command): void {
  const token = program.command("token").description("tokens by which people and programs call the server");
  withExample(
    token
      .command("create <name>")
      .description("make a token; its text is printed once")
      .option("-r, --role <role>", "what its owner may decide: admin, or a role that a step asks for", collect),
    "fuseml token create ada --role lead",
  ).action(
    action<{ role?: string[] }>(async ({ client, terminal }, { role = [] }, [name = ""]) => {
      const made = await client.call("POST /tokens", { body: { name, roles: role } });
      terminal.out(`${made.token}\n`);
    }),
  );
  withExample(
    listOptions(token.command("list").alias("ls").description("list tokens, without their text")),
    "fuseml token list",
  ).action(
    action<{ format: string; field?: string[] }>(async ({ client, terminal }, options) => {
      printList(
        terminal,
        await client.call("GET /tokens"),
        [
          { title: "Name", text: (of) => of.name },
          { title: "Roles", text: (of) => of.roles.join(", ") },
          { title: "Created", text: (of) => of.created.replace("T", " ").slice(0, 19) },
        ],
        options,
      );
    }),
  );
  withExample(
    token.command("delete <name>").alias("rm").description("make a token invalid"),
    "fuseml token delete ada",
  ).action(
    action(async ({ client, terminal }, _options, [name = ""]) => {
      await client.call("DELETE /tokens/{name}", { params: { name } });
      terminal.out(`Token "${name}" successfully deleted\n`);
    }),
  );
}
