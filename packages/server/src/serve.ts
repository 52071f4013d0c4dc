import { FuseError, failure } from "@fuseml/core/errors";
import { compose } from "./compose.ts";
import { chooseAgents } from "./compose-agents.ts";
import { readConfiguration } from "./configuration.ts";
import { claimDataDirectory } from "./data-directory.ts";
import { systemClock } from "./platform/clock.ts";
import { createLog } from "./platform/log.ts";
import { freePort } from "./platform/processes/ports.ts";

/** Runs a server until it is told to end. @param open as in `compose` */
export async function serve(open?: Parameters<typeof compose>[4]): Promise<void> {
  const given = readConfiguration(process.env);
  const log = createLog(given.logLevel);
  const configuration = await chooseAgents(given, log);
  const claim = claimDataDirectory(configuration.dataDir, configuration.databaseUrl !== undefined);
  const port = configuration.port === 0 ? await freePort() : configuration.port;
  const url = configuration.publicUrl ?? `http://${configuration.host}:${port}`;
  const server = await compose(configuration, url, systemClock, log, open);
  try {
    await server.app.listen({ host: configuration.host, port });
  } catch (error) {
    claim.release();
    throw (error as NodeJS.ErrnoException).code === "EADDRINUSE"
      ? failure("server.port-in-use", { port }, { cause: error })
      : error;
  }
  claim.announce(url);
  await server.resume();
  log.info({ url, dataDir: configuration.dataDir, auth: configuration.auth }, "FuseML is ready");

  let ending = false;
  const end = (signal: NodeJS.Signals) => {
    if (ending) return;
    ending = true;
    log.info({ signal }, "stopping");
    server.close().then(
      () => {
        claim.release();
        process.exit(0);
      },
      (error: unknown) => {
        log.error({ err: error }, "the server could not be stopped cleanly");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
}

/** The last words of a server that could not start. */
export function fail(error: unknown): never {
  const known = error instanceof FuseError ? error : undefined;
  process.stderr.write(
    `${known ? `${known.message}\n${known.hint ? `${known.hint}\n` : ""}[${known.code}]` : String((error as Error).stack ?? error)}\n`,
  );
  process.exit(known?.exit ?? 1);
}
