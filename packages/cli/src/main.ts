#!/usr/bin/env node
/** The `fuseml` command. */
import { formatDiagnostic } from "@fuseml/core/diagnostic";
import { FuseError, failure } from "@fuseml/core/errors";
import { Command, CommanderError } from "commander";
import { errColours as pc } from "./colours.ts";
import { addApplicationCommands } from "./commands/application.ts";
import { addCacheCommands } from "./commands/cache.ts";
import { addCodesetCommands } from "./commands/codeset.ts";
import { addExtensionCommands } from "./commands/extension.ts";
import { addProjectCommands } from "./commands/project.ts";
import { addQuickstartCommand } from "./commands/quickstart.ts";
import { addRegistryCommands } from "./commands/registry.ts";
import { addRunCommands } from "./commands/run.ts";
import { addRunnableCommands } from "./commands/runnable.ts";
import { addServerCommands } from "./commands/server.ts";
import { addTokenCommands } from "./commands/token.ts";
import { addVersionCommand } from "./commands/version.ts";
import { addWebhookCommands } from "./commands/webhook.ts";
import { addWorkflowCommands } from "./commands/workflow.ts";
import { defaultUrl } from "./session.ts";

const exitCodes = `
Exit codes: 0 success; 1 failure, or a run that did not succeed; 2 wrong usage or input; 3 not found; 4 conflict;
5 the server does not answer; 6 not allowed.`;

function program(): Command {
  const fuseml = new Command("fuseml")
    .description("FuseML: from a published commit of ML code to a served model")
    .option("-u, --url <url>", `the server (FUSEML_SERVER_URL); default ${defaultUrl}`)
    .option("--timeout <seconds>", "for an answer (FUSEML_HTTP_TIMEOUT)")
    .option("-v, --verbose", "print the requests (FUSEML_VERBOSE)")
    .addHelpText("after", exitCodes)
    .showSuggestionAfterError()
    .exitOverride();
  addQuickstartCommand(fuseml);
  addServerCommands(fuseml);
  addProjectCommands(fuseml);
  addCodesetCommands(fuseml);
  addWorkflowCommands(fuseml);
  addRunCommands(fuseml);
  addApplicationCommands(fuseml);
  addExtensionCommands(fuseml);
  addRunnableCommands(fuseml);
  addRegistryCommands(fuseml);
  addCacheCommands(fuseml);
  addWebhookCommands(fuseml);
  addTokenCommands(fuseml);
  addVersionCommand(fuseml);
  return fuseml;
}

/** The error as a person reads it. @returns the exit code */
function report(thrown: unknown): number {
  const error =
    (thrown as NodeJS.ErrnoException).code === "ENOSPC"
      ? failure("disk.full", { where: (thrown as NodeJS.ErrnoException).path ?? "a file" }, { cause: thrown })
      : thrown;
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (!(error instanceof FuseError)) {
    process.stderr.write(
      `${pc.red("unexpected error")}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return 1;
  }
  const places = error.diagnostics.map((diagnostic) => formatDiagnostic(diagnostic));
  const text =
    places.length > 0
      ? places.join("\n")
      : `${error.message}${error.field ? ` (${error.field})` : ""}${error.hint ? `\n    ${error.hint}` : ""}\n    [${error.code}]`;
  process.stderr.write(`${pc.red("error")}: ${text}\n`);
  return error.exit;
}

// a reader that closes the pipe early (head, less) is no error
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

try {
  await program().parseAsync(process.argv);
} catch (error) {
  process.exitCode = report(error);
}
