/** Two servers over one PostgreSQL: each drives its own runs, and the other goes on when one is gone. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Postgres, withoutPostgres } from "@fuseml/server/platform/database/postgres.fixture";
import { freePort } from "@fuseml/server/platform/processes/ports";
import { isAlive, shellWorkflow, until } from "./support/fuseml.ts";
import { ServerProcess } from "./support/server.ts";

const leaseSeconds = 2;

describe("two replicas on PostgreSQL", { skip: withoutPostgres, timeout: 240_000 }, () => {
  let postgres: Postgres;
  let home: string;
  let one: ServerProcess;
  let two: ServerProcess;
  before(async () => {
    postgres = Postgres.start();
    home = mkdtempSync(join(tmpdir(), "fuseml-replicas-"));
    mkdirSync(join(home, "data"));
    writeFileSync(
      join(home, "data", "host-recipes.yaml"),
      'recipes: [{image: "test/shell:*", command: [sh, -c, \'eval "$SCRIPT"\']}]\n',
    );
    const env = {
      FUSEML_DATABASE_URL: postgres.database("fuseml"),
      FUSEML_LEASE_SECONDS: String(leaseSeconds),
      FUSEML_HOST_PARALLELISM: "50",
    };
    one = new ServerProcess(home, await freePort(), env);
    two = new ServerProcess(home, await freePort(), env);
    await Promise.all([one.start(), two.start()]);
  });
  after(async () => {
    await Promise.all([one.kill("SIGTERM"), two.kill("SIGTERM")]);
    postgres.dispose();
    rmSync(home, { recursive: true, force: true });
  });

  const lines = (name: string): string[] => {
    const file = join(home, name);
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  };
  const create = (name: string, steps: Record<string, string>) =>
    one.client.call("POST /workflows", { body: shellWorkflow(name, steps) });
  const start = async (server: ServerProcess, name: string) =>
    (await server.client.call("POST /workflows/{name}/runs", { params: { name }, body: {} })).name;
  const status = async (server: ServerProcess, id: string) =>
    (await server.client.call("GET /runs/{id}", { params: { id } })).status;
  const succeeded = (server: ServerProcess, id: string, within = 30_000) =>
    until(`${id} succeeds`, async () => (await status(server, id)) === "Succeeded", within);

  test("neither runs what the other runs; both know of everything", async () => {
    await create("shared", {
      a: 'echo "$FUSEML_RUN_ID a" >> "$HOME/shared"',
      b: 'echo "$FUSEML_RUN_ID b" >> "$HOME/shared"',
    });
    const ids = await Promise.all(Array.from({ length: 20 }, (_, n) => start(n % 2 === 0 ? one : two, "shared")));
    for (const id of ids) await Promise.all([succeeded(one, id), succeeded(two, id)]);
    assert.deepEqual(lines("shared").sort(), ids.flatMap((id) => [`${id} a`, `${id} b`]).sort());
  });

  test("what is asked of the wrong one is done by the right one", async () => {
    await create("asked", { a: 'echo $$ >> "$HOME/asked"; sleep 300' });
    const id = await start(one, "asked");
    await until("it runs", () => lines("asked").length === 1);
    await two.client.call("POST /runs/{id}/cancel", { params: { id } });
    assert.equal(await status(two, id), "Cancelled");
    assert.equal(isAlive(Number(lines("asked")[0])), false);
  });

  test("when one is killed the other goes on with its runs within the lease, and living steps are adopted", async () => {
    await create("handed", {
      a: 'echo "a $$" >> "$HOME/handed"; until [ -e "$HOME/handed.go" ]; do sleep 0.05; done',
      b: 'echo b >> "$HOME/handed"',
    });
    const id = await start(one, "handed");
    await until("it runs", () => lines("handed").length === 1);
    const pid = Number(lines("handed")[0]?.slice(2));
    await one.kill();
    const killed = performance.now();
    writeFileSync(join(home, "handed.go"), "");
    await succeeded(two, id);
    const took = performance.now() - killed;
    assert.ok(took < (leaseSeconds + 5) * 1000, `handed over after ${Math.round(took)} ms`);
    assert.deepEqual(lines("handed"), [`a ${pid}`, "b"]);
    await one.start();
  });

  test("one that is only slow is not robbed of its runs; one that stood still too long lets go of them", async () => {
    await create("stopped", {
      a: 'echo a >> "$HOME/stopped"; until [ -e "$HOME/stopped.go" ]; do sleep 0.05; done',
      b: 'echo b >> "$HOME/stopped"',
    });
    const id = await start(one, "stopped");
    await until("it runs", () => lines("stopped").length === 1);
    one.signal("SIGSTOP");
    writeFileSync(join(home, "stopped.go"), "");
    await succeeded(two, id);
    one.signal("SIGCONT");
    await until("it answers again", async () => (await status(one, id)) === "Succeeded");
    const other = await start(one, "shared");
    await succeeded(one, other);
    assert.deepEqual(lines("stopped"), ["a", "b"]);
  });

  test("a restart of PostgreSQL under load strands nothing", async () => {
    await create("loaded", {
      a: 'echo "$FUSEML_RUN_ID a" >> "$HOME/loaded"; sleep 0.3',
      b: 'echo "$FUSEML_RUN_ID b" >> "$HOME/loaded"; sleep 0.3',
      c: 'echo "$FUSEML_RUN_ID c" >> "$HOME/loaded"',
    });
    const ids = await Promise.all(Array.from({ length: 20 }, (_, n) => start(n % 2 === 0 ? one : two, "loaded")));
    await until("they run", () => lines("loaded").length >= 10);
    postgres.down("immediate");
    postgres.up();
    for (const id of ids)
      await until(`${id} succeeds`, async () => (await status(one, id).catch(() => "")) === "Succeeded", 60_000);
    assert.deepEqual(
      lines("loaded").sort(),
      ids.flatMap((id) => ["a", "b", "c"].map((step) => `${id} ${step}`)).sort(),
    );
  });
});
