/** The server may be killed at any moment: no step that succeeded runs again, none is lost, living ones are taken up. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Fuseml, isAlive, shellWorkflow, until } from "./support/fuseml.ts";

describe("a killed server", { timeout: 120_000 }, () => {
  let fuseml: Fuseml;
  before(async () => {
    fuseml = await Fuseml.start();
  });
  after(() => fuseml.dispose());

  const file = (name: string): string => join(fuseml.home, name);
  const lines = (name: string): string[] =>
    existsSync(file(name)) ? readFileSync(file(name), "utf8").trim().split("\n") : [];
  async function start(name: string, steps: Record<string, string>): Promise<string> {
    fuseml.directory(".", { [`${name}.yaml`]: shellWorkflow(name, steps) });
    await fuseml.ok("workflow", "create", `${name}.yaml`);
    return /run_\w+/.exec(await fuseml.ok("workflow", "run", name))?.[0] ?? "";
  }

  test("in the middle of a step: the process is adopted, the run goes on after the restart", async () => {
    const id = await start("middle", {
      one: 'echo one >> "$HOME/middle"',
      two: 'echo $$ >> "$HOME/middle"; sleep 3; echo two >> "$HOME/middle"',
      three: 'echo three >> "$HOME/middle"',
    });
    await until("step two runs", () => lines("middle").length === 2);
    const pid = Number(lines("middle")[1]);
    await fuseml.crash();
    assert.ok(isAlive(pid), "the step lives on");
    await fuseml.startServer();
    assert.equal((await fuseml.cli("run", "wait", id)).code, 0);
    assert.deepEqual(lines("middle"), ["one", String(pid), "two", "three"]);
  });

  test("while a step ends: it is not run again", async () => {
    const id = await start("meanwhile", {
      one: 'echo one >> "$HOME/meanwhile"; sleep 1',
      two: 'echo two >> "$HOME/meanwhile"',
    });
    await until("step one runs", () => lines("meanwhile").length === 1);
    await fuseml.crash();
    await until("step one is over", () => existsSync(join(fuseml.dataDir, "segments", `${id}.1`, "one", "exit")));
    await fuseml.startServer();
    assert.equal((await fuseml.cli("run", "wait", id)).code, 0);
    assert.deepEqual(lines("meanwhile"), ["one", "two"]);
  });

  test("again and again: the chain is run once", async () => {
    const steps = Object.fromEntries(
      Array.from({ length: 12 }, (_, n) => [`s${n}`, `echo ${n} >> "$HOME/chain"; sleep 0.2`]),
    );
    const id = await start("chain", steps);
    for (const seen of [2, 5, 9]) {
      await until(`step ${seen} has begun`, () => lines("chain").length >= seen);
      await fuseml.crash();
      await fuseml.startServer();
    }
    assert.equal((await fuseml.cli("run", "wait", id)).code, 0);
    assert.deepEqual(
      lines("chain"),
      Array.from({ length: 12 }, (_, n) => String(n)),
    );
  });

  test("a step that was killed while nobody looked: the run says so and does not hang", async () => {
    const id = await start("gone", { one: 'echo $$ >> "$HOME/gone"; sleep 300' });
    await until("the step runs", () => lines("gone").length === 1);
    await fuseml.crash();
    const { pid } = JSON.parse(
      readFileSync(join(fuseml.dataDir, "segments", `${id}.1`, "one", "process.json"), "utf8"),
    ) as { pid: number };
    process.kill(-pid, "SIGKILL");
    await fuseml.startServer();
    assert.equal((await fuseml.cli("run", "wait", id)).code, 1);
    assert.match(await fuseml.ok("run", "get", id), /step.vanished/);
  });

  test("a stop interrupts a step without failing its run; the next start runs it afresh", async () => {
    const id = await start("stopped", {
      one: 'echo one >> "$HOME/stopped"',
      two: 'echo two >> "$HOME/stopped"; [ -e "$HOME/again" ] || sleep 300',
    });
    await until("step two runs", () => lines("stopped").length === 2);
    await fuseml.ok("server", "stop");
    fuseml.directory(".", { again: "" });
    await fuseml.startServer();
    assert.equal((await fuseml.cli("run", "wait", id)).code, 0);
    assert.deepEqual(lines("stopped"), ["one", "two", "two"]);
  });

  test("a push that was received but not published before the crash is published at the next start", async () => {
    await fuseml.ok("project", "create", "p");
    fuseml.directory("code", { "a.txt": "1" });
    await fuseml.ok("codeset", "push", "code", "-p", "p");
    fuseml.directory(".", { "watch.yaml": shellWorkflow("watch", { a: "cat a.txt" }, { codeset: true }) });
    await fuseml.ok("workflow", "create", "watch.yaml");
    await fuseml.ok("workflow", "assign", "watch", "-p", "p", "-c", "code", "--wait");
    await fuseml.crash();
    const copy = file("pushed");
    await fuseml.git(fuseml.home, "clone", "--quiet", join(fuseml.dataDir, "git/p/code.git"), copy);
    fuseml.directory("pushed", { "a.txt": "2" });
    await fuseml.git(copy, "commit", "--quiet", "-am", "two");
    await fuseml.git(copy, "push", "--quiet", "origin", "main");
    await fuseml.startServer();
    await until(
      "the run of the second commit",
      async () =>
        (await fuseml.client.call("GET /workflows/runs", { query: { name: "watch" } })).filter(
          (run) => run.status === "Succeeded",
        ).length === 2,
    );
    const [run] = await fuseml.client.call("GET /workflows/runs", { query: { name: "watch" } });
    assert.equal(await fuseml.ok("run", "logs", run?.name ?? "", "a"), "2");
  });

  test("cancel ends the processes of a run at once; the exit code of waiting is its result", async () => {
    const id = await start("long", { one: 'sleep 300 & echo $! >> "$HOME/long"; wait', two: "true" });
    await until("the step runs", () => lines("long").length === 1);
    await fuseml.ok("run", "cancel", id);
    assert.equal(isAlive(Number(lines("long")[0])), false);
    assert.equal((await fuseml.cli("run", "wait", id)).code, 1);
    assert.match(await fuseml.ok("run", "get", id), /Status\s+Cancelled/);
    assert.match((await fuseml.cli("run", "cancel", id)).err, /already ended/);
  });

  test("logs of a run are followed to its end", async () => {
    const id = await start("talk", { one: "echo a; sleep 0.5; echo b", two: "echo c" });
    assert.equal(await fuseml.ok("run", "logs", id, "-f"), "── one ──\na\nb\n── two ──\nc\n");
    assert.equal(await fuseml.ok("run", "logs", id, "two"), "c\n");
    assert.equal((await fuseml.cli("run", "logs", id, "tow")).code, 3);
  });
});
