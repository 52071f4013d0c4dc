import type { Command } from "commander";
import { printList } from "../output.ts";
import { action, listOptions, withExample } from "../session.ts";

export function addRegistryCommands(program: Command): void {
  const registry = program.command("registry").description("the built-in registry of images");
  withExample(
    listOptions(registry.command("list").alias("ls").description("list images, and whether anything refers to them")),
    "fuseml registry list",
  ).action(
    action<{ format: string; field?: string[] }>(async ({ client, terminal }, options) => {
      const { address, images } = await client.call("GET /registry");
      printList(
        terminal,
        images,
        [
          { title: "Image", text: (of) => `${address}/${of.repository}:${of.tag}` },
          { title: "Digest", text: (of) => of.digest.slice(0, 19) },
          { title: "Used", text: (of) => (of.used ? "yes" : "no") },
        ],
        options,
      );
    }),
  );
  withExample(
    registry
      .command("gc")
      .description("remove images that no run or runnable refers to any more, and free their space")
      .option("--dry-run", "only say what would go"),
    "fuseml registry gc --dry-run",
  ).action(
    action<{ dryRun?: boolean }>(async ({ client, terminal }, options) => {
      const query = options.dryRun ? { dryRun: "true" as const } : {};
      const { removed, kept, freedBytes } = await client.call("POST /registry/collect", { query });
      for (const { repository, tag } of removed) terminal.out(`${repository}:${tag}\n`);
      const freed = `${(freedBytes / 1e6).toFixed(0)} MB freed`;
      terminal.out(
        options.dryRun
          ? `${removed.length} images would be removed, ${kept} stay\n`
          : `${removed.length} images removed, ${kept} stay, ${freed}\n`,
      );
    }),
  );
}
