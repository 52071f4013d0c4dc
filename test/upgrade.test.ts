/** A data directory that the previous schema version wrote, with a run in flight, is opened by this one and goes on. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { migrate } from "@fuseml/server/platform/database/migrate";
import { openSqlite } from "@fuseml/server/platform/database/node-sqlite";
import { identify } from "@fuseml/server/platform/processes/identity";
import { freePort } from "@fuseml/server/platform/processes/ports";
import { migrations, sqliteDialect } from "@fuseml/server/state/migrations";
import { type Kysely, sql } from "kysely";
import { until } from "./support/fuseml.ts";
import { ServerProcess } from "./support/server.ts";

const created = "2026-10-01T00:00:00.000Z";
const commit = "0123456789012345678901234567890123456789";
const pins = { codesets: { code: { kind: "code", project: "p", name: "c", version: commit } }, models: {}, values: {} };

/** The steps of the workflow as version 1 of the schema kept them. */
const script = (name: string, text: string) => ({
  name,
  image: "test/shell:1",
  env: [{ name: "SCRIPT", value: text }],
});
const spec = (name: string, text: string) => ({
  name,
  image: ["test/shell:1"],
  variables: [{ name: "SCRIPT", value: [text] }],
  codesets: [],
  outputs: [],
  extensions: [],
});

test("a run in flight of the previous schema version: its living step is adopted, the rest is run", {
  timeout: 60_000,
}, async () => {
  const home = mkdtempSync(join(tmpdir(), "fuseml-upgrade-"));
  const data = join(home, "data");
  mkdirSync(data);
  writeFileSync(
    join(data, "host-recipes.yaml"),
    'recipes: [{image: "test/shell:*", command: [sh, -c, \'eval "$SCRIPT"\']}]\n',
  );
  const texts: [string, string][] = [
    ["a", 'echo a >> "$HOME/ran"'],
    ["b", `echo b >> "$HOME/ran"; until [ -e "$HOME/go" ]; do sleep 0.05; done`],
    ["c", 'echo c >> "$HOME/ran"'],
  ];
  const server = new ServerProcess(home, await freePort());
  try {
    const [first] = migrations(sqliteDialect);
    assert.ok(first);
    const db = openSqlite<unknown>(join(data, "fuseml.db")) as unknown as Kysely<unknown>;
    await migrate(db, [first]);
    const definition = JSON.stringify({
      name: "w",
      inputs: [{ name: "code", type: "codeset" }],
      steps: texts.map(([name, text]) => script(name, text)),
    });
    await sql`INSERT INTO workflow VALUES ('w', 1, ${created}, ${created})`.execute(db);
    await sql`INSERT INTO workflow_version VALUES ('w', 1, 'sha256:0', ${definition}, ${created})`.execute(db);
    const cause = JSON.stringify({ type: "manual", by: "local" });
    for (const [id, status] of [
      ["run_old", "succeeded"],
      ["run_live", "running"],
    ] as const) {
      const ended = status === "running" ? null : created;
      await sql`INSERT INTO run VALUES (${id}, 'w', 1, 'p', NULL, NULL, ${cause}, ${JSON.stringify(pins)}, ${status}, NULL, '{}', ${created}, ${created}, ${ended})`.execute(
        db,
      );
    }
    const states = [
      { status: "succeeded", attempt: 1, since: created, ended: created, outputs: {} },
      { status: "running", attempt: 1, since: created },
      { status: "waiting" },
    ];
    for (const [ordinal, state] of states.entries()) {
      await sql`INSERT INTO step_run VALUES ('run_live', ${ordinal}, ${texts[ordinal]?.[0]}, ${JSON.stringify(state)}, ${state.status}, '{}')`.execute(
        db,
      );
    }
    const steps = texts.map(([name, text]) => spec(name, text));
    const segment = JSON.stringify({ id: "run_live.a", runId: "run_live", agent: "host", steps });
    await sql`INSERT INTO segment VALUES ('run_live.a', 'run_live', 0, 'host', ${segment}, 0)`.execute(db);
    await db.destroy();

    // step b as the previous version started it
    const directory = join(data, "segments", "run_live.a", "b");
    mkdirSync(join(directory, "results"), { recursive: true });
    mkdirSync(join(data, "segments", "run_live.a", "a"), { recursive: true });
    writeFileSync(
      join(data, "segments", "run_live.a", "a", "outcome.json"),
      JSON.stringify({ type: "succeeded", step: "a", attempt: 1, at: created, outputs: {} }),
    );
    writeFileSync(join(home, "ran"), "a\n");
    const log = openSync(join(directory, "raw.log"), "a");
    const wrapper = '"$@"; status=$?; printf "%s\\n" "$status" > "$0"; exit "$status"';
    const child = spawn("/bin/sh", ["-c", wrapper, join(directory, "exit"), "sh", "-c", texts[1]?.[1] ?? ""], {
      detached: true,
      env: { ...process.env, HOME: home },
      stdio: ["ignore", log, log],
    });
    const { pid = 0, startedAt } = identify(child.pid ?? 0) ?? {};
    writeFileSync(join(directory, "process.json"), JSON.stringify({ pid, startedAt }));
    const lines = () =>
      existsSync(join(home, "ran")) ? readFileSync(join(home, "ran"), "utf8").trim().split("\n") : [];
    await until("b runs", () => lines().length === 2);

    await server.start();
    const status = async () => (await server.client.call("GET /runs/{id}", { params: { id: "run_live" } })).status;
    assert.equal(await status(), "Running");
    writeFileSync(join(home, "go"), "");
    await until("the run goes on", async () => (await status()) === "Succeeded");
    assert.deepEqual(lines(), ["a", "b", "c"]);
    const found = await server.client.call("GET /workflows/runs", { query: { codesetProject: "p", codesetName: "c" } });
    assert.equal(found.length, 2, "old runs are found by their codeset");
  } finally {
    await server.kill("SIGTERM");
    rmSync(home, { recursive: true, force: true });
  }
});
