/**
 * `npm run bench:peers`: the same chain of no-op steps here and in the peers that install from npm and PyPI and run offline, one after
 * the other on this machine. Installs into a temporary directory (or `--keep DIR`), which takes some minutes.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Postgres, withoutPostgres } from "@fuseml/server/platform/database/postgres.fixture";
import { freePort } from "@fuseml/server/platform/processes/ports";
import { Fuseml } from "../../test/support/fuseml.ts";
import { bareProcesses, chainOf, median, recipes, say, timedRun } from "../measure.ts";
import { type Peer, peers } from "./programs.ts";

type Row = {
  readonly name: string;
  readonly version: string;
  readonly step: string;
  readonly durable: string;
  readonly perStep: number;
  /** With a process in each step, where the step itself is a function. */
  readonly perProcess: number | undefined;
  readonly rate: number | undefined;
};

const { values } = parseArgs({ options: { keep: { type: "string" }, only: { type: "string" } } });
const root = values.keep ?? mkdtempSync(join(tmpdir(), "fuseml-peers-"));

function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = spawnSync(command, [...args], {
    cwd,
    env: { ...process.env, ...env },
    encoding: "utf8",
    timeout: 300_000,
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr.slice(-600)}`);
  return stdout;
}

const number = (output: string, name: string): number | undefined => {
  const found = new RegExp(`^${name} ([\\d.]+)$`, "m").exec(output)?.[1];
  return found === undefined ? undefined : Number(found);
};

function measurePeer(peer: Peer, postgresUrl: string): Row {
  const directory = join(root, peer.name.split(" ")[0] ?? "");
  mkdirSync(join(directory, "home"), { recursive: true });
  writeFileSync(join(directory, peer.file), peer.program);
  const env = {
    HOME: join(directory, "home"),
    AIRFLOW_HOME: join(directory, "home"),
    AIRFLOW__CORE__LOAD_EXAMPLES: "False",
    DAGSTER_HOME: join(directory, "home"),
    PREFECT_HOME: join(directory, "home"),
    PREFECT_LOGGING_LEVEL: "ERROR",
    METAFLOW_DATASTORE_SYSROOT_LOCAL: join(directory, "home"),
    DO_NOT_TRACK: "1",
    POSTGRES_URL: postgresUrl,
  };
  const { install } = peer;
  let version: string;
  let output: string;
  if ("npm" in install) {
    writeFileSync(join(directory, "package.json"), '{"type":"module"}');
    if (!existsSync(join(directory, "node_modules")))
      run("npm", ["install", "--no-audit", "--no-fund", ...install.npm], directory);
    version =
      /@(\d\S*)/.exec(
        run("npm", ["list", "--depth", "0", install.npm[0] ?? ""], directory)
          .split("── ")[1]
          ?.slice(1) ?? "",
      )?.[1] ?? "";
    output = run(process.execPath, [peer.file, String(peer.steps)], directory, env);
  } else {
    const python = join(directory, "venv", "bin", "python");
    if (!existsSync(python)) {
      run("python3", ["-m", "venv", "venv"], directory);
      run(python, ["-m", "pip", "install", "--quiet", ...install.pip], directory);
    }
    const [name] = install.pip;
    version = run(python, ["-c", `import importlib.metadata as m; print(m.version("${name}"))`], directory).trim();
    output = run(python, [peer.file, String(peer.steps)], directory, env);
  }
  const chain = number(output, "chain");
  if (chain === undefined) throw new Error(`${peer.name} printed no figure: ${output.slice(-300)}`);
  const { name, step, durable, steps } = peer;
  const heavy = number(output, "process");
  const perProcess = heavy === undefined ? undefined : heavy / steps;
  return { name, version, step, durable, perStep: chain / steps, perProcess, rate: number(output, "rate") };
}

const asProcess = (name: string, version: string, durable: string, perStep: number): Row => ({
  name,
  version,
  step: "process",
  durable,
  perStep,
  perProcess: perStep,
  rate: undefined,
});

async function measureOurs(): Promise<Row[]> {
  const fuseml = await Fuseml.start();
  const { client } = fuseml;
  try {
    fuseml.directory("data", { "host-recipes.yaml": recipes });
    await client.call("POST /workflows", { body: chainOf("chain", 100) });
    await client.call("POST /workflows", { body: chainOf("one", 1) });
    await timedRun(client, "chain");
    const bare: number[] = [];
    const ours: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      bare.push(await bareProcesses(100));
      ours.push((await timedRun(client, "chain")).took);
    }
    const count = 500;
    let left = count;
    const from = performance.now();
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        while (left-- > 0) await timedRun(client, "one");
      }),
    );
    const rate = count / ((performance.now() - from) / 1000);
    return [
      asProcess("bare spawn", "", "nothing", median(bare) / 100),
      { ...asProcess("FuseML (host agent)", "0.4.0", "each step, synced", median(ours) / 100), rate },
    ];
  } finally {
    await fuseml.dispose();
  }
}

const rows = await measureOurs();
const postgres = withoutPostgres ? undefined : Postgres.start(await freePort());
const postgresUrl = postgres?.database("peers") ?? "";
try {
  for (const peer of peers.filter((of) => !values.only || of.name.startsWith(values.only))) {
    try {
      rows.push(measurePeer(peer, postgresUrl));
    } catch (error) {
      say(`${peer.name} could not be measured: ${(error as Error).message.trim().split("\n").at(-1)}`);
    }
  }
} finally {
  postgres?.dispose();
  if (values.keep === undefined) rmSync(root, { recursive: true, force: true });
}
say(
  "| engine | version | a step is a | on the disk when it is over | ms a step | with a process in it | one-step runs/s |",
);
say("|---|---|---|---|---|---|---|");
for (const { name, version, step, durable, perStep, perProcess, rate } of rows)
  say(
    `| ${name} | ${version} | ${step} | ${durable} | ${perStep.toFixed(2)} | ${perProcess?.toFixed(2) ?? ""} | ${rate?.toFixed(0) ?? ""} |`,
  );
