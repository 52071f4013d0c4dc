import type { Command } from "commander";
import { printList } from "../output.ts";
import { action, collect, listOptions, withExample } from "../session.ts";

export function addWebhookCommands(program: Command): void {
  const webhook = program.command("webhook").description("who is told what happens to runs");
  withExample(
    webhook
      .command("add <name> <url>")
      .description("tell a URL what happens: CloudEvents, in order, at least once. FUSEML_WEBHOOK_SECRET signs them")
      .option("-t, --type <type>", "run.ended, step.*; may be repeated; default all", collect)
      .option("--project <project>", "of runs of this project")
      .option("-w, --workflow <workflow>", "of runs of this workflow"),
    "FUSEML_WEBHOOK_SECRET=… fuseml webhook add chat https://chat.example.org/hook --type run.ended",
  ).action(
    action<{ type?: string[]; project?: string; workflow?: string }>(
      async ({ client, terminal, env }, { type = [], project = "", workflow = "" }, [name = "", url = ""]) => {
        // a secret does not belong into the arguments of a process
        const secret = env.FUSEML_WEBHOOK_SECRET ?? "";
        await client.call("POST /webhooks", { body: { name, url, types: type, project, workflow, secret } });
        terminal.out(`Webhook "${name}" is told from now on\n`);
      },
    ),
  );
  withExample(
    listOptions(webhook.command("list").alias("ls").description("list webhooks and how they fare")),
    "fuseml webhook list",
  ).action(
    action<{ format: string; field?: string[] }>(async ({ client, terminal }, options) => {
      printList(
        terminal,
        await client.call("GET /webhooks"),
        [
          { title: "Name", text: (of) => of.name },
          { title: "URL", text: (of) => of.url },
          { title: "Types", text: (of) => of.types.join(", ") || "all" },
          { title: "Signed", text: (of) => (of.signed ? "yes" : "no") },
          { title: "State", text: (of) => (of.lastError ? `${of.lastError}, next try ${of.nextTry ?? ""}` : "fine") },
        ],
        options,
      );
    }),
  );
  withExample(
    webhook.command("delete <name>").alias("rm").description("tell it no more"),
    "fuseml webhook delete chat",
  ).action(
    action(async ({ client, terminal }, _options, [name = ""]) => {
      await client.call("DELETE /webhooks/{name}", { params: { name } });
      terminal.out(`Webhook "${name}" successfully deleted\n`);
    }),
  );
}
