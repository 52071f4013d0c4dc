/**
 * `npm run bench:scale`: a database with a hundred thousand finished runs and a million steps beside one with a hundred;
 * a start with a thousand active runs; a run of a hundred thousand steps. One of them: `-- --part history`, `start` or `giant`.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { freePort } from "@fuseml/server/platform/processes/ports";
import type { StoredRun, StoredStep } from "@fuseml/server/runs/records";
import { sqliteStore } from "@fuseml/server/state/store";
import { ServerProcess } from "../test/support/server.ts";
import { chainOf, median, recipes, say, show, timedRun } from "./measure.ts";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "100000" }, part: { type: "string" } },
});
const large = Number(values.runs);
const stepsOfRun = 10;
const active = 1000;
const giant = 100_000;
const samples = 30;
const created = "2026-01-01T00:00:00.000Z";

const home = (): string => {
  const directory = mkdtempSync(join(tmpdir(), "fuseml-scale-"));
  mkdirSync(join(directory, "data"));
  writeFileSync(join(directory, "data", "host-recipes.yaml"), recipes);
  return directory;
};
const idOf = (n: number): string => `run_01kd${String(n).padStart(22, "0")}`;

const runOf = (n: number, workflow: string, status: StoredRun["status"]): StoredRun => ({
  id: idOf(n),
  workflow,
  workflowVersion: 1,
  project: "p",
  assignmentId: null,
  matchKey: null,
  cause: { type: "manual", by: "bench" },
  pins: {
    codesets: { code: { kind: "code", project: "p", name: `c${n % 100}`, version: "1" } },
    models: {},
    values: {},
  },
  status,
  error: null,
  outputs: {},
  created,
  started: status === "succeeded" ? created : null,
  ended: status === "succeeded" ? created : null,
  owner: null,
  deadline: null,
  stepwise: false,
  definition: null,
  queueKey: null,
  queued: false,
  cancelRequested: null,
  noCache: false,
});
const stepOf = (runId: string, ordinal: number, name: string, over: boolean): StoredStep => ({
  runId,
  ordinal: (ordinal + 1) * 100_000,
  name,
  step: name,
  index: null,
  combination: null,
  state: over
    ? { status: "succeeded", attempt: 1, since: created, ended: created, outputs: {} }
    : { status: "waiting" },
  attempt: over ? 1 : 0,
  base: 0,
  passes: {},
  reuse: null,
  extensions: {},
  segmentId: null,
});

/** Writes history as the server would have, only faster. */
async function fill(directory: string, runs: number, status: StoredRun["status"], from = 0): Promise<void> {
  const store = await sqliteStore(join(directory, "data", "fuseml.db"));
  const over = status === "succeeded";
  for (let n = from; n < from + runs; ) {
    await store.transaction(async (unit) => {
      for (const until = Math.min(n + 1000, from + runs); n < until; n += 1) {
        const run = runOf(n, over ? `w${n % 20}` : "sleeper", status);
        await unit.runs.add(run);
        const count = over ? stepsOfRun : 1;
        await unit.runs.addSteps(
          Array.from({ length: count }, (_, at) => stepOf(run.id, at, over ? `s${at}` : "a", over)),
        );
        if (over) {
          for (const type of ["run.created", "run.ended"])
            await unit.events.append({ subject: `run:${run.id}`, type, data: {}, time: created });
        }
      }
    });
  }
  await store.close();
}

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const from = performance.now();
  await work();
  return performance.now() - from;
};

async function history(runs: number): Promise<Record<string, number[]>> {
  const directory = home();
  const server = new ServerProcess(directory, await freePort());
  try {
    await fill(directory, runs, "succeeded");
    await server.start();
    const { client } = server;
    await client.call("POST /workflows", { body: chainOf("one", 1) });
    const took: Record<string, number[]> = { list: [], filtered: [], get: [], start: [] };
    for (let n = 0; n < samples + 5; n += 1) {
      const id = idOf((n * 7919) % runs);
      const round = {
        list: await timed(() => client.call("GET /workflows/runs", { query: { limit: "50" } })),
        filtered: await timed(() =>
          client.call("GET /workflows/runs", { query: { limit: "50", codesetName: "c7", status: "Succeeded" } }),
        ),
        get: await timed(() => client.call("GET /runs/{id}", { params: { id } })),
        start: (await timedRun(client, "one")).took,
      };
      if (n >= 5) for (const [name, ms] of Object.entries(round)) took[name]?.push(ms);
    }
    return took;
  } finally {
    await server.kill("SIGTERM");
    rmSync(directory, { recursive: true, force: true });
  }
}

async function startWithActive(): Promise<void> {
  const directory = home();
  const server = new ServerProcess(directory, await freePort(), { FUSEML_HOST_PARALLELISM: "2000" });
  try {
    await server.start();
    const script = 'image: "test/shell:1", env: [{name: SCRIPT, value: "sleep 600"}]';
    await server.client.call("POST /workflows", {
      body: `name: sleeper\nsteps:\n  - {name: ok, approval: {}}\n  - {name: a, ${script}}\n`,
    });
    for (let n = 0; n < active / 50; n += 1) {
      const body = { params: { name: "sleeper" }, body: {} };
      await Promise.all(Array.from({ length: 50 }, () => server.client.call("POST /workflows/{name}/runs", body)));
    }
    await server.kill();
    const ready = await timed(() => server.start());
    say(`ready after ${ready.toFixed(0)} ms at a start with ${active} active runs`);
  } finally {
    await server.kill("SIGTERM");
    rmSync(directory, { recursive: true, force: true });
  }
}

const peakMb = (pid: number): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;

async function giantRun(): Promise<void> {
  const directory = home();
  const server = new ServerProcess(directory, await freePort());
  try {
    await server.start();
    const list = (count: number): string => `"${Array.from({ length: count }, (_, n) => n).join(",")}"`;
    await server.client.call("POST /workflows", {
      body: `name: giant\nsteps:\n  - {name: s, image: "bench/true:1", matrix: {a: ${list(giant / 100)}, b: ${list(100)}}}\n`,
    });
    const { took } = await timedRun(server.client, "giant", {});
    say(
      `a run of ${giant} process steps: ${(took / 1000).toFixed(0)} s, server at most ${peakMb(server.pid).toFixed(0)} MB`,
    );
  } finally {
    await server.kill("SIGTERM");
    rmSync(directory, { recursive: true, force: true });
  }
}

async function compareHistory(): Promise<void> {
  const [few, many] = [await history(100), await history(large)];
  say(`${large} finished runs with ${large * stepsOfRun} steps in the database, beside 100 runs`);
  for (const [name, took] of Object.entries(many)) {
    const before = few[name] ?? [];
    const ratio = (median(took) / median(before)).toFixed(2);
    say(`  ${name.padEnd(9)} ${show(took)}; with 100: ${show(before)}; ratio ${ratio}`);
  }
}

const parts: Readonly<Record<string, () => Promise<void>>> = {
  history: compareHistory,
  start: startWithActive,
  giant: giantRun,
};
for (const [name, part] of Object.entries(parts)) if (!values.part || values.part === name) await part();
