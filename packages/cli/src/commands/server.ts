import type { Command } from "commander";
import { answersAt, dataDirectory, runningServer, serverLog, startServer, stopServer } from "../server-process.ts";
import { action, withExample } from "../session.ts";

export function addServerCommands(program: Command): void {
  const server = program.command("server").description("the control plane on this machine");
  withExample(
    server
      .command("start")
      .description("start the server in the background")
      .option("--port <port>", "default: FUSEML_PORT or 8000")
      .option("--data-dir <directory>", "default: FUSEML_DATA_DIR or ~/.local/share/fuseml"),
    "fuseml server start --port 8080",
  ).action(
    action<{ port?: string; dataDir?: string }>(async ({ terminal, env }, options) => {
      const own = {
        ...env,
        ...(options.port ? { FUSEML_PORT: options.port } : {}),
        ...(options.dataDir ? { FUSEML_DATA_DIR: options.dataDir } : {}),
      };
      const { server: running, started } = await startServer(own);
      terminal.out(
        `FuseML ${started ? "is running" : "was running already"} at ${running.url} (process ${running.pid}, data in ${dataDirectory(own)})\n`,
      );
    }),
  );
  withExample(
    server.command("stop").description("stop the server and all that it started"),
    "fuseml server stop",
  ).action(
    action(async ({ terminal, env }) => {
      terminal.out(
        (await stopServer(dataDirectory(env))) ? "FuseML stopped\n" : `No server is running on ${dataDirectory(env)}\n`,
      );
    }),
  );
  withExample(
    server.command("status").description("tell whether the server runs; the exit code is 5 when it does not"),
    "fuseml server status",
  ).action(
    action(async ({ terminal, env }) => {
      const directory = dataDirectory(env);
      const running = runningServer(directory);
      if (running && (await answersAt(running.url))) {
        terminal.out(
          `running at ${running.url} (process ${running.pid}, data in ${directory}, log ${serverLog(directory)})\n`,
        );
      } else {
        terminal.out(
          running
            ? `process ${running.pid} lives but does not answer; its log: ${serverLog(directory)}\n`
            : `not running (data directory ${directory})\n`,
        );
        process.exitCode = 5;
      }
    }),
  );
}
