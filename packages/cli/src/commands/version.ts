import type { Command } from "commander";
import { printValue } from "../output.ts";
import { action, valueOptions, withExample } from "../session.ts";

/** The version of this client. */
export const clientVersion = "0.4.0";

export function addVersionCommand(program: Command): void {
  withExample(
    valueOptions(program.command("version").description("the versions of the client and the server"), "text"),
    "fuseml version -o json",
  ).action(
    action<{ format: string }>(async ({ client, terminal }, options) => {
      const server = await client
        .call("GET /version")
        .catch((error: Error) => ({ version: `not reached: ${error.message}` }));
      const versions = { client: clientVersion, node: process.version, server: server.version };
      printValue(
        terminal,
        versions,
        options.format,
        () => `client ${clientVersion} (node ${process.version})\nserver ${server.version} (${client.url})`,
      );
    }),
  );
}
