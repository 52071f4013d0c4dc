/** Faults of the machine and of files: the run says so, goes on, or can be resumed. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { Fuseml, shellWorkflow, until } from "./support/fuseml.ts";

describe("faults", { timeout: 120_000 }, () => {
  let fuseml: Fuseml;
  before(async () => {
    fuseml = await Fuseml.start({ FUSEML_LOG_LIMIT_MB: "1" });
  });
  after(() => fuseml.dispose());

  const lines = (name: string): string[] => {
    const file = join(fuseml.home, name);
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  };
  const start = async (name: string, steps: Record<string, string>) => {
    await fuseml.client.call("POST /workflows", { body: shellWorkflow(name, steps) });
    return (await fuseml.client.call("POST /workflows/{name}/runs", { params: { name }, body: {} })).name;
  };
  const get = (id: string) => fuseml.client.call("GET /runs/{id}", { params: { id } });
  const ended = (id: string) =>
    until(`${id} is over`, async () => !["Pending", "Running"].includes((await get(id)).status));
  const directory = (id: string, step: string) => join(fuseml.dataDir, "segments", `${id}.1`, step);

  test("a database that another program locks: the run waits and goes on", async () => {
    const id = await start("locked", {
      a: 'echo a >> "$HOME/locked"; until [ -e "$HOME/locked.go" ]; do sleep 0.05; done',
      b: 'echo b >> "$HOME/locked"',
    });
    await until("it runs", () => lines("locked").length === 1);
    // the server may be writing that the step has started
    const other = new DatabaseSync(join(fuseml.dataDir, "fuseml.db"), { timeout: 10_000 });
    other.exec("BEGIN EXCLUSIVE");
    writeFileSync(join(fuseml.home, "locked.go"), "");
    // a write waits for some seconds before it gives up
    const log = () => readFileSync(join(fuseml.dataDir, "server.log"), "utf8");
    await until("the server has given up once", () => log().includes("a run could not be advanced"), 30_000);
    other.exec("ROLLBACK");
    other.close();
    await ended(id);
    assert.equal((await get(id)).status, "Succeeded");
    assert.deepEqual(lines("locked"), ["a", "b"]);
  });

  test("a log that was removed: the run says so, and its history is still there", async () => {
    const id = await start("logless", { a: "echo words" });
    await ended(id);
    rmSync(join(fuseml.dataDir, "segments", `${id}.1`), { recursive: true });
    const { code, err } = await fuseml.cli("run", "logs", id, "a");
    assert.notEqual(code, 0);
    assert.match(err, /the log of step "a" is not there any more/);
    assert.match(await fuseml.ok("run", "explain", id), /step.succeeded a/);
  });

  test("a step that prints without end is ended, and says so; what it printed is kept", async () => {
    const id = await start("chatty", { a: "yes words; true" });
    await ended(id);
    const { error } = await get(id);
    assert.equal(error?.code, "step.log-too-large");
    assert.match(error?.message ?? "", /more than 1 MiB/);
    assert.ok(statSync(join(directory(id, "a"), "log")).size > 1024 * 1024);
  });

  test("a value that is too large for a step is refused with its name and size", async () => {
    const big = 'head -c 30000 /dev/zero | tr "\\0" x > "$FUSEML_RESULTS_DIR/o"';
    const text = `name: fat
steps:
  - {name: a, image: test/shell:1, matrix: {n: [1, 2, 3, 4, 5]}, outputs: [{name: o}], env: [{name: SCRIPT, value: '${big}'}]}
  - {name: b, image: test/shell:1, env: [{name: ALL, value: "{{ steps.a.outputs.o }}"}, {name: SCRIPT, value: "true"}]}
`;
    await fuseml.client.call("POST /workflows", { body: text });
    const { name: id } = await fuseml.client.call("POST /workflows/{name}/runs", { params: { name: "fat" }, body: {} });
    await ended(id);
    const { error } = await get(id);
    assert.equal(error?.code, "step.input-too-large");
    assert.match(error?.message ?? "", /ALL of step "b" would be 150\d\d\d bytes/);
  });

  test("records that a power cut tore are none: an outcome is judged again, a database opens", async () => {
    const id = await start("torn", {
      a: 'echo a >> "$HOME/torn"; until [ -e "$HOME/torn.go" ]; do sleep 0.05; done',
      b: 'echo b >> "$HOME/torn"',
    });
    await until("it runs", () => lines("torn").length === 1);
    await fuseml.crash();
    writeFileSync(join(fuseml.home, "torn.go"), "");
    await until("a is over", () => existsSync(join(directory(id, "a"), "exit")));
    writeFileSync(join(directory(id, "a"), "outcome.json"), '{"type":"succ');
    const wal = join(fuseml.dataDir, "fuseml.db-wal");
    assert.ok(readdirSync(fuseml.dataDir).includes("fuseml.db-wal"));
    // half of a frame that was about to be written
    writeFileSync(wal, Buffer.alloc(2000, 7), { flag: "a" });
    await fuseml.startServer();
    await ended(id);
    assert.equal((await get(id)).status, "Succeeded");
    assert.deepEqual(lines("torn"), ["a", "b"]);
  });

  test("an exit status that is not complete counts as none: the step is told as vanished, and can be run again", async () => {
    const id = await start("half", { a: 'echo $$ >> "$HOME/half"; [ -e "$HOME/half.go" ] || sleep 300' });
    await until("it runs", () => lines("half").length === 1);
    await fuseml.crash();
    const { pid } = JSON.parse(readFileSync(join(directory(id, "a"), "process.json"), "utf8")) as { pid: number };
    process.kill(-pid, "SIGKILL");
    writeFileSync(join(directory(id, "a"), "exit"), "0\n");
    truncateSync(join(directory(id, "a"), "exit"), 1);
    await fuseml.startServer();
    await ended(id);
    assert.equal((await get(id)).error?.code, "step.vanished");
    writeFileSync(join(fuseml.home, "half.go"), "");
    await fuseml.client.call("POST /runs/{id}/resume", { params: { id } });
    await ended(id);
    assert.equal((await get(id)).status, "Succeeded");
  });
});
