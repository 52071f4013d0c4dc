/** What a workflow can say of its steps, and what people can do to runs in any state: with real processes. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { stringify } from "yaml";
import { Fuseml, isAlive, until } from "./support/fuseml.ts";

type Step = { name: string; script?: string; [field: string]: unknown };

describe("runs under control", { timeout: 240_000, concurrency: 4 }, () => {
  let fuseml: Fuseml;
  before(async () => {
    fuseml = await Fuseml.start({ FUSEML_HOST_PARALLELISM: "16" });
  });
  after(() => fuseml.dispose());

  const file = (name: string): string => join(fuseml.home, name);
  const lines = (name: string): string[] =>
    existsSync(file(name)) ? readFileSync(file(name), "utf8").trim().split("\n") : [];
  /** A workflow of shell steps, as text. */
  const yaml = (name: string, steps: Step[], top: object = {}): string =>
    stringify({
      name,
      ...top,
      steps: steps.map(({ script, env = [], ...step }) => ({
        ...(script === undefined ? {} : { image: "test/shell:1" }),
        ...step,
        env: [...(env as object[]), ...(script === undefined ? [] : [{ name: "SCRIPT", value: script }])],
      })),
    });
  const create = async (name: string, steps: Step[], top: object = {}) =>
    fuseml.client.call("POST /workflows", { body: yaml(name, steps, top) });
  const start = async (
    name: string,
    body: { inputs?: Record<string, string>; stepByStep?: boolean; cache?: boolean } = {},
  ) => (await fuseml.client.call("POST /workflows/{name}/runs", { params: { name }, body })).name;
  const get = (id: string) => fuseml.client.call("GET /runs/{id}", { params: { id } });
  const ended = async (id: string) => {
    for await (const _event of fuseml.client.stream("GET /runs/{id}/events", { params: { id } }));
    return get(id);
  };
  const step = async (id: string, name: string) => {
    const found = (await get(id)).steps.find((of) => of.name === name);
    assert.ok(found, `run ${id} has step ${name}`);
    return found;
  };
  const waitsFor = (id: string, name: string, type: string) =>
    until(`${name} waits for ${type}`, async () => (await step(id, name)).waitsFor?.type === type);
  /** A script that goes on when the test says so. */
  const untilTold = (name: string): string => `until [ -e "$HOME/${name}.go" ]; do sleep 0.05; done`;
  const tell = (name: string) => fuseml.directory(".", { [`${name}.go`]: "" });
  const log = (name: string, text: string): string => `echo ${text} >> "$HOME/${name}"`;

  test("a failed step is tried again, after a pause that grows, and its logs are kept", async () => {
    await create("flaky", [
      {
        name: "a",
        script: `${log("flaky", "try")}; echo "this is try $(wc -l < "$HOME/flaky")"; [ $(wc -l < "$HOME/flaky") -ge 3 ]`,
        retries: { limit: 3, backoff: "100ms" },
      },
      { name: "b", script: log("flaky", "after") },
    ]);
    const run = await ended(await start("flaky"));
    assert.equal(run.status, "Succeeded");
    assert.deepEqual(lines("flaky"), ["try", "try", "try", "after"]);
    const [a] = run.steps;
    assert.equal(a?.attempt, 3);
    assert.deepEqual(
      a?.attempts.map(({ attempt, error }) => [attempt, error.exitCode]),
      [
        [1, 1],
        [2, 1],
      ],
    );
    const pause = (n: number) =>
      Date.parse(a?.attempts[n + 1]?.started ?? a?.started ?? "") - Date.parse(a?.attempts[n]?.ended ?? "");
    assert.ok(pause(0) >= 100 && pause(1) >= 200, `${pause(0)} ms, ${pause(1)} ms`);
    assert.match(await fuseml.ok("run", "logs", run.name, "a", "--attempt", "1"), /this is try 1/);
    assert.match(await fuseml.ok("run", "logs", run.name, "a"), /this is try 3/);
    assert.match(await fuseml.ok("run", "explain", run.name), /try 2 failed: .*exit code 1/);
  });

  test("a step that takes too long is ended with its children, and tells so; its log stays", async () => {
    await create("slow", [
      { name: "a", timeout: "500ms", script: `echo begun; sleep 300 & ${log("slow", "$!")}; wait` },
    ]);
    const run = await ended(await start("slow"));
    assert.equal(run.error?.code, "step.timeout");
    assert.match(run.error?.logTail ?? "", /begun/);
    await until("its child is gone", () => !isAlive(Number(lines("slow")[0])));
  });

  test("a run that takes too long is ended, and can be resumed", async () => {
    await create("long", [{ name: "a", script: `[ -e "$HOME/quick" ] || sleep 300` }], { timeout: "1s" });
    const id = await start("long");
    const run = await ended(id);
    assert.equal(run.status, "Failed");
    assert.equal(run.error?.code, "run.timeout");
    fuseml.directory(".", { quick: "" });
    await fuseml.client.call("POST /runs/{id}/resume", { params: { id } });
    assert.equal((await ended(id)).status, "Succeeded");
  });

  test("in the order dataflow steps go side by side, within the limits", async () => {
    const busy = (name: string) =>
      `mkdir "$HOME/par/${name}"; ls "$HOME/par" | wc -l >> "$HOME/par.seen"; sleep 0.3; rmdir "$HOME/par/${name}"`;
    fuseml.directory("par", { ".keep": "" });
    const steps = ["a", "b", "c", "d", "e"].map((name) => ({ name, script: busy(name) }));
    await create("side-by-side", steps, { order: "dataflow", parallelism: 2 });
    assert.equal((await ended(await start("side-by-side"))).status, "Succeeded");
    const seen = lines("par.seen").map(Number);
    assert.equal(seen.length, 5);
    assert.equal(Math.max(...seen), 2);
  });

  test("a matrix fans out, its outputs are collected, and an output can be a matrix", async () => {
    const give = (name: string, value: string) => `printf '%s' ${value} > "$FUSEML_RESULTS_DIR/${name}"`;
    await create(
      "fan",
      [
        { name: "seeds", script: give("list", `'["x","y","z"]'`), outputs: [{ name: "list" }] },
        {
          name: "train",
          matrix: { seed: "{{ steps.seeds.outputs.list }}", lr: [1, 2] },
          inputs: [{ name: "of", value: "{{ matrix.seed }}{{ matrix.lr }}" }],
          script: give("score", '"$FUSEML_OF"'),
          outputs: [{ name: "score" }],
        },
        {
          name: "collect",
          inputs: [{ name: "all", value: "{{ steps.train.outputs.score }}" }],
          script: give("best", '"$FUSEML_ALL"'),
          outputs: [{ name: "best" }],
        },
      ],
      { outputs: [{ name: "best" }] },
    );
    const run = await ended(await start("fan"));
    assert.equal(run.status, "Succeeded");
    assert.deepEqual(run.outputs[0]?.value, '["x1","x2","y1","y2","z1","z2"]');
    assert.deepEqual(run.steps.find((of) => of.name === "train.3")?.matrix, { seed: "y", lr: "2" });
  });

  test("a condition decides; what uses the outputs of a skipped step is skipped, what does not runs", async () => {
    await create(
      "conditional",
      [
        { name: "deploy", script: log("cond", "deploy"), when: "inputs.mode == 'prod'", outputs: [{ name: "url" }] },
        {
          name: "check",
          script: log("cond", "check"),
          env: [{ name: "URL", value: "{{ steps.deploy.outputs.url }}" }],
        },
        { name: "report", script: log("cond", "report") },
      ],
      { inputs: [{ name: "mode", default: "test" }] },
    );
    const run = await ended(await start("conditional"));
    assert.equal(run.status, "Succeeded");
    assert.deepEqual(
      run.steps.map((of) => of.status),
      ["Skipped", "Skipped", "Succeeded"],
    );
    assert.deepEqual(lines("cond"), ["report"]);
    assert.match(
      await fuseml.ok("run", "explain", run.name),
      /step deploy: Skipped, because this did not hold: inputs.mode == 'prod'/,
    );
  });

  test("a step waits for approval; who, when and the comment are recorded; a rejection fails it", async () => {
    await create("gated", [
      { name: "a", script: log("gated", "a") },
      { name: "ok", approval: { message: "is it good?" } },
      { name: "b", script: log("gated", "b") },
    ]);
    const id = await start("gated");
    await waitsFor(id, "ok", "approval");
    assert.match(await fuseml.ok("run", "get", id), /Waiting \(approval: is it good\?\)/);
    assert.equal((await fuseml.cli("run", "approve", id, "a")).code, 4);
    await fuseml.ok("run", "approve", id, "ok", "--comment", "fine");
    const run = await ended(id);
    assert.equal(run.status, "Succeeded");
    assert.deepEqual(lines("gated"), ["a", "b"]);
    const { approval } = await step(id, "ok");
    assert.equal(approval?.by, "local");
    assert.equal(approval?.comment, "fine");
    const other = await start("gated");
    await waitsFor(other, "ok", "approval");
    await fuseml.ok("run", "reject", other, "ok", "--comment", "no");
    const rejected = await ended(other);
    assert.equal(rejected.error?.code, "step.rejected");
    assert.match(rejected.error?.message ?? "", /rejected by local: no/);
    await create("impatient", [{ name: "ok", approval: { timeout: "300ms" } }]);
    assert.equal((await ended(await start("impatient"))).error?.code, "step.approval-expired");
  });

  test("step by step: each waits for next; a live run can be paused and let go", async () => {
    await create("stepwise", [
      { name: "a", script: log("stepwise", "a") },
      { name: "b", script: log("stepwise", "b") },
      { name: "c", script: log("stepwise", "c") },
    ]);
    const id = await start("stepwise", { stepByStep: true });
    await waitsFor(id, "a", "pause");
    assert.equal(await fuseml.ok("run", "next", id), `Step a of ${id} starts\n`);
    await waitsFor(id, "b", "pause");
    assert.deepEqual(lines("stepwise"), ["a"]);
    const environment = await fuseml.ok("run", "env", id, "b");
    assert.match(environment, /^# test\/shell:1\n/);
    assert.match(environment, /SCRIPT=echo b >>/);
    await fuseml.ok("run", "next", id, "--all");
    assert.equal((await ended(id)).status, "Succeeded");
    await create("paused", [
      { name: "a", script: `${log("paused", "a")}; ${untilTold("paused")}` },
      { name: "b", script: log("paused", "b") },
    ]);
    const live = await start("paused");
    await until("a runs", () => lines("paused").length === 1);
    await fuseml.ok("run", "pause", live);
    tell("paused");
    await waitsFor(live, "b", "pause");
    assert.deepEqual(lines("paused"), ["a"]);
    await fuseml.ok("run", "next", live);
    assert.equal((await ended(live)).status, "Succeeded");
  });

  test("a failed run is resumed where it failed; a finished step is not run again, unless asked for", async () => {
    await create("broken", [
      { name: "a", script: log("broken", "a") },
      { name: "b", script: `${log("broken", "b")}; [ -e "$HOME/mended" ]` },
      { name: "c", script: log("broken", "c") },
    ]);
    const id = await start("broken");
    assert.equal((await ended(id)).status, "Failed");
    assert.equal((await fuseml.cli("run", "resume", id, "--from", "bb")).code, 3);
    fuseml.directory(".", { mended: "" });
    // the run keeps the version that it started with
    const newer = yaml("broken", [{ name: "z", script: log("broken", "z") }]);
    await fuseml.client.call("PUT /workflows/{name}", { params: { name: "broken" }, body: newer });
    assert.match(await fuseml.ok("run", "resume", id, "--wait"), /Resumed/);
    assert.deepEqual(lines("broken"), ["a", "b", "b", "c"]);
    assert.equal((await fuseml.cli("run", "resume", id)).code, 4);
    await fuseml.ok("run", "resume", id, "--from", "b", "--wait");
    assert.deepEqual(lines("broken"), ["a", "b", "b", "c", "b", "c"]);
    assert.equal((await get(id)).status, "Succeeded");
  });

  test("a step of a live run that hangs is run again; others go on; a failed one can be skipped", async () => {
    await create(
      "hanging",
      [
        {
          name: "stuck",
          script: `${log("hang", "stuck")}; [ -e "$HOME/free" ] || { echo $$ >> "$HOME/hang.pid"; sleep 300; }`,
        },
        { name: "other", script: `${untilTold("hang")}; ${log("hang", "other")}` },
        { name: "last", after: ["stuck", "other"], script: log("hang", "last") },
      ],
      { order: "dataflow" },
    );
    const id = await start("hanging");
    await until("it hangs", () => lines("hang.pid").length === 1);
    fuseml.directory(".", { free: "" });
    await fuseml.ok("run", "retry", id, "stuck");
    assert.equal(isAlive(Number(lines("hang.pid")[0])), false);
    await until("it runs again", () => lines("hang").length === 2);
    tell("hang");
    assert.equal((await ended(id)).status, "Succeeded");
    assert.deepEqual(lines("hang"), ["stuck", "stuck", "other", "last"]);
    await create("skippable", [
      { name: "bad", script: "exit 3", outputs: [{ name: "o" }] },
      { name: "good", script: `echo "$V" >> "$HOME/skip"`, env: [{ name: "V", value: "{{ steps.bad.outputs.o }}" }] },
    ]);
    const failed = await start("skippable");
    assert.equal((await ended(failed)).status, "Failed");
    await fuseml.ok("run", "skip", failed, "bad", "--output", "o=given", "--wait");
    assert.deepEqual(lines("skip"), ["given"]);
    assert.equal((await get(failed)).status, "Succeeded");
  });

  test("what has not started is swapped in a live run; what has started is not", async () => {
    const steps = (last: string): Step[] => [
      { name: "a", script: `${log("swap", "a")}; ${untilTold("swap")}` },
      { name: "b", script: log("swap", last) },
    ];
    await create("swapped", steps("old"));
    const id = await start("swapped");
    await until("a runs", () => lines("swap").length === 1);
    fuseml.directory(".", {
      "new.yaml": yaml("swapped", steps("new")),
      "bad.yaml": yaml("swapped", [{ name: "a", script: "true" }]),
    });
    const refused = await fuseml.cli("run", "swap", id, "-f", "bad.yaml");
    assert.equal(refused.code, 4);
    assert.match(refused.err, /step "a" cannot be changed any more: it is running/);
    await fuseml.ok("run", "swap", id, "-f", "new.yaml");
    tell("swap");
    assert.equal((await ended(id)).status, "Succeeded");
    assert.deepEqual(lines("swap"), ["a", "new"]);
    assert.match(await fuseml.ok("run", "definition", id), /new/);
  });

  test("a fork takes over what is finished, and runs the rest with another definition or input", async () => {
    await create(
      "forked",
      [
        { name: "a", script: `${log("fork", "a")}; printf 1 > "$FUSEML_RESULTS_DIR/o"`, outputs: [{ name: "o" }] },
        {
          name: "b",
          script: `echo "b $FUSEML_MODE $O" >> "$HOME/fork"; [ "$FUSEML_MODE" = right ]`,
          env: [{ name: "O", value: "{{ steps.a.outputs.o }}" }],
        },
      ],
      { inputs: [{ name: "mode", default: "wrong" }] },
    );
    const id = await start("forked");
    assert.equal((await ended(id)).status, "Failed");
    await fuseml.ok("run", "fork", id, "--from", "b", "--input", "mode=right", "--wait");
    assert.deepEqual(lines("fork"), ["a", "b wrong 1", "b right 1"]);
    const edited = await fuseml.ok("run", "definition", id);
    fuseml.directory(".", { "forked.yaml": edited.replace('"$FUSEML_MODE" = right', '"$FUSEML_MODE" = wrong') });
    await fuseml.ok("run", "fork", id, "--from", "b", "-f", "forked.yaml", "--wait");
    assert.deepEqual(lines("fork").slice(3), ["b wrong 1"]);
    const [, fork] = await fuseml.client.call("GET /workflows/runs", { query: { name: "forked" } });
    assert.equal(fork?.cause.type, "forked");
    assert.deepEqual((await step(fork?.name ?? "", "a")).reused, { run: id, step: "a" });
  });

  test("a step with a cache is not run again for the same inputs, and says what differed when it is", async () => {
    const give = `${log("cache", "$FUSEML_X")}; printf "$FUSEML_X" > "$FUSEML_RESULTS_DIR/o"`;
    await create(
      "cached",
      [
        { name: "a", cache: true, script: give, outputs: [{ name: "o" }] },
        { name: "b", cache: true, script: log("cache", "b"), env: [{ name: "O", value: "{{ steps.a.outputs.o }}" }] },
      ],
      { inputs: [{ name: "x" }] },
    );
    const first = await start("cached", { inputs: { x: "1" } });
    await ended(first);
    assert.match(await fuseml.ok("workflow", "plan", "cached", "-i", "x=1"), /reused from run_/);
    const second = await ended(await start("cached", { inputs: { x: "1" } }));
    assert.equal(second.status, "Succeeded");
    assert.deepEqual(lines("cache"), ["1", "b"]);
    assert.deepEqual(
      second.steps.map((of) => of.reused?.run),
      [first, first],
    );
    const third = await ended(await start("cached", { inputs: { x: "2" } }));
    assert.deepEqual(lines("cache"), ["1", "b", "2", "b"]);
    assert.match(third.steps[0]?.notReused ?? "", /unlike in run_\w+: variable FUSEML_X was "1", is "2"/);
    assert.match(await fuseml.ok("run", "explain", third.name), /variable FUSEML_X was "1", is "2"/);
    await ended(await start("cached", { inputs: { x: "1" }, cache: false }));
    assert.deepEqual(lines("cache").slice(4), ["1", "b"]);
    assert.match(await fuseml.ok("cache", "list", "-w", "cached"), /sha256:/);
    assert.equal(await fuseml.ok("cache", "drop", "-w", "cached", "-s", "a"), "Dropped 2 kept results\n");
    await ended(await start("cached", { inputs: { x: "1" } }));
    assert.deepEqual(lines("cache").slice(6), ["1"]);
  });

  test("a result whose file is gone or changed is not reused", async () => {
    const script = `${log("files", "made")}; echo data > "$HOME/result"; printf "%s" "$HOME/result" > "$FUSEML_RESULTS_DIR/path"`;
    await create("filed", [{ name: "a", cache: true, script, outputs: [{ name: "path" }] }]);
    await ended(await start("filed"));
    assert.equal((await ended(await start("filed"))).steps[0]?.reused !== undefined, true);
    fuseml.directory(".", { result: "other" });
    assert.match((await ended(await start("filed"))).steps[0]?.notReused ?? "", /has changed/);
    assert.equal(lines("files").length, 2);
  });

  test("a plan says what would be done, without doing it", async () => {
    await create(
      "planned",
      [
        { name: "a", script: "true", retries: { limit: 2 } },
        { name: "b", approval: { by: ["lead"] }, script: "true" },
        { name: "c", matrix: { n: [1, 2, 3] }, script: "true" },
        { name: "d", image: "no/such:image" },
      ],
      { order: "dataflow" },
    );
    const { code, out } = await fuseml.cli("workflow", "plan", "planned");
    assert.equal(code, 1);
    assert.match(out, /1\s+a\s+host\s+local\s+test\/shell:1\s+runs/);
    assert.match(out, /2\s+b\s+host/);
    assert.match(out, /c ×3/);
    assert.match(out, /waits for approval by lead/);
    assert.match(out, /d\s+none\s+no\/such:image\s+cannot run/);
    assert.equal((await fuseml.client.call("GET /workflows/runs", { query: { name: "planned" } })).length, 0);
  });

  test("history: filters, pages, and what ended long ago can go", async () => {
    await create("listed", [{ name: "a", script: "true" }]);
    const ids = [await start("listed"), await start("listed"), await start("listed")];
    for (const id of ids) await ended(id);
    const list = async (query: object) =>
      (await fuseml.client.call("GET /workflows/runs", { query: { name: "listed", ...query } })).map((run) => run.name);
    assert.deepEqual(await list({ limit: "2" }), [ids[2], ids[1]]);
    assert.deepEqual(await list({ before: ids[1] }), [ids[0]]);
    assert.deepEqual(await list({ since: "1h" }), [...ids].reverse());
    assert.deepEqual(await list({ since: "2999-01-01T00:00:00Z" }), []);
    assert.equal((await fuseml.cli("run", "list", "--since", "yesterday")).code, 2);
    assert.match(
      await fuseml.ok("run", "prune", "--older-than", "0s", "--keep", "1", "-n", "listed", "--dry-run"),
      /2 runs would be removed/,
    );
    assert.match(
      await fuseml.ok("run", "prune", "--older-than", "0s", "--keep", "1", "-n", "listed"),
      /Removed 2 runs/,
    );
    assert.deepEqual(await list({}), [ids[2]]);
    assert.equal(existsSync(join(fuseml.dataDir, "segments", `${ids[0]}.1`)), false);
    assert.equal((await fuseml.cli("run", "get", ids[0] ?? "")).code, 3);
  });
});
