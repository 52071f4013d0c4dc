import assert from "node:assert/strict";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { StepState } from "@fuseml/core/run/state";
import type { StoredRun, StoredStep } from "../runs/records.ts";
import type { Unit } from "./store.ts";

const now = "2026-01-01T00:00:00.000Z";
const waiting: StepState = { status: "waiting" };
const code = (version: string) => ({ kind: "code" as const, project: "p", name: "c", version });
const run = (id: string, of: Partial<StoredRun> = {}): StoredRun => ({
  id,
  workflow: "w",
  workflowVersion: 1,
  project: "p",
  assignmentId: null,
  matchKey: null,
  cause: { type: "manual", by: "me" },
  pins: { codesets: { src: code("1") }, models: {}, values: { mode: "fast" } },
  status: "pending",
  error: null,
  outputs: {},
  created: now,
  started: null,
  ended: null,
  owner: null,
  deadline: null,
  stepwise: false,
  definition: null,
  queueKey: null,
  queued: false,
  cancelRequested: null,
  noCache: false,
  ...of,
});
const step = (runId: string, ordinal: number, name: string, of: Partial<StoredStep> = {}): StoredStep => ({
  runId,
  ordinal,
  name,
  step: name,
  index: null,
  combination: null,
  state: waiting,
  attempt: 0,
  base: 0,
  passes: {},
  reuse: null,
  extensions: {},
  segmentId: null,
  ...of,
});

const segmentStep = (name: string): StepSpec => ({
  name,
  step: name,
  attempt: 1,
  needs: [],
  image: ["x"],
  variables: [],
  codesets: [],
  outputs: [],
  extensions: [],
});

/** Runs, their steps, segments and kept results. @param isolated makes a test of its own that leaves nothing behind */
export function runRepositoryConformance(isolated: (title: string, work: (unit: Unit) => Promise<void>) => void): void {
  isolated("runs: a match key starts one run; filters and the cursor", async ({ runs }) => {
    assert.ok(await runs.add(run("run_1", { matchKey: "k" })));
    assert.equal(await runs.add(run("run_2", { matchKey: "k" })), false);
    assert.ok(await runs.add(run("run_3", { workflow: "v", project: "q" })));
    assert.deepEqual(await runs.get("run_1"), run("run_1", { matchKey: "k" }));
    const ids = async (filter: object) => (await runs.list({ limit: 10, ...filter })).map((of) => of.id);
    assert.deepEqual(await ids({}), ["run_3", "run_1"]);
    assert.deepEqual(await ids({ before: "run_3" }), ["run_1"]);
    assert.deepEqual(await ids({ from: "run_2" }), ["run_3"]);
    assert.deepEqual(await ids({ workflow: "v" }), ["run_3"]);
    assert.deepEqual(await ids({ project: "p" }), ["run_1"]);
    assert.deepEqual(await ids({ status: "failed" }), []);
    assert.deepEqual(await ids({ codesetProject: "p", codesetName: "c" }), ["run_3", "run_1"]);
    assert.deepEqual(await ids({ codesetName: "d" }), []);
    assert.equal((await runs.findByPrefix("run_1"))?.id, "run_1");
    assert.equal(await runs.findByPrefix("run_"), undefined);
    assert.ok(await runs.remove("run_1"));
    assert.deepEqual(await ids({}), ["run_3"]);
  });

  isolated("runs: what changes, and who drives them", async ({ runs }) => {
    await runs.add(run("run_1", { queueKey: "q" }));
    const error = { code: "c", message: "m" };
    const changed = { outputs: { o: "1" }, started: now, deadline: now, stepwise: true, cancelRequested: "me" };
    await runs.update("run_1", changed);
    assert.deepEqual(await runs.get("run_1"), run("run_1", { ...changed, queueKey: "q" }));
    assert.equal(await runs.hold("run_1", "rep_1"), undefined);
    assert.ok(await runs.take("run_1", null, "rep_1"));
    assert.equal(await runs.take("run_1", null, "rep_2"), false);
    assert.equal((await runs.hold("run_1", "rep_1"))?.owner, "rep_1");
    assert.ok(await runs.take("run_1", "rep_1", "rep_2"));
    assert.equal(await runs.hold("run_1", "rep_1"), undefined);
    const ids = async (filter: object) => (await runs.active(filter)).map((of) => of.id);
    assert.deepEqual(await ids({ owner: "rep_2" }), ["run_1"]);
    assert.deepEqual(await ids({ owner: null }), []);
    assert.deepEqual(await ids({ queueKey: "q" }), ["run_1"]);
    await runs.takeAll("rep_3");
    assert.deepEqual(await ids({ owner: "rep_3" }), ["run_1"]);
    await runs.update("run_1", { status: "failed", error, ended: now });
    assert.deepEqual(await ids({}), []);
    assert.equal((await runs.endedBefore("2027", 10)).length, 1);
    assert.equal((await runs.endedBefore(now, 10)).length, 0);
    assert.deepEqual((await runs.get("run_1"))?.error, error);
  });

  isolated("steps: states, counts, those that no segment holds", async ({ runs }) => {
    await runs.add(run("run_1"));
    const matrix = { step: "m", index: 0, combination: { lr: "1" } };
    const all = [step("run_1", 0, "a"), step("run_1", 1, "m.0", matrix), step("run_1", 2, "b")];
    await runs.addSteps(all);
    assert.deepEqual(await runs.steps("run_1"), all);
    assert.deepEqual(await runs.steps("run_1", { after: 0, limit: 1 }), [all[1]]);
    assert.deepEqual(await runs.step("run_1", "b"), all[2]);
    assert.equal(await runs.step("run_1", "c"), undefined);
    assert.deepEqual(await runs.stepsOf("run_1", "m"), [all[1]]);
    const running = step("run_1", 0, "a", {
      state: { status: "running", attempt: 2, since: now },
      attempt: 2,
      base: 1,
      passes: { approval: { by: "me", at: now } },
      reuse: { key: "k", because: "first" },
      extensions: { s: { extension: "e", service: "s", endpoint: "u" } },
      segmentId: "run_1.1",
    });
    await runs.updateStep(running);
    assert.deepEqual(await runs.step("run_1", "a"), running);
    assert.deepEqual(
      await runs.countSteps("run_1"),
      new Map([
        ["a", { running: 1 }],
        ["b", { waiting: 1 }],
        ["m", { waiting: 1 }],
      ]),
    );
    assert.deepEqual(
      (await runs.freeSteps("run_1", 10)).map((of) => of.name),
      ["m.0", "b"],
    );
    assert.equal((await runs.freeSteps("run_1", 1)).length, 1);
    assert.equal(await runs.countFree("run_1"), 2);
    assert.equal((await runs.firstStep("run_1", "waiting"))?.name, "m.0");
    assert.ok(await runs.hasOpenSteps("run_1", "a"));
    const state: StepState = { status: "succeeded", attempt: 2, since: now, ended: now, outputs: { o: "1" } };
    await runs.updateStep({ ...running, state });
    assert.equal(await runs.hasOpenSteps("run_1", "a"), false);
    assert.deepEqual(
      (await runs.endedStates("run_1", ["a", "b"])).map((of) => of.state),
      [state],
    );
    await runs.replaceWaiting("run_1", { status: "skipped", ended: now });
    assert.equal(await runs.hasOpenSteps("run_1"), false);
    await runs.removeSteps("run_1", "m");
    assert.equal((await runs.steps("run_1")).length, 2);
  });

  isolated("steps: a run may have very many", async ({ runs }) => {
    await runs.add(run("run_1"));
    const many = Array.from({ length: 1500 }, (_, n) => step("run_1", n, `m.${n}`, { step: "m", index: n }));
    await runs.addSteps(many);
    assert.deepEqual(await runs.countSteps("run_1"), new Map([["m", { waiting: 1500 }]]));
    const steps = many.map((of) => ({ ...segmentStep(of.name), step: "m" }));
    assert.ok(await runs.addSegment({ id: "run_1.1", runId: "run_1", agent: "host", steps }, 1));
    assert.equal(await runs.countFree("run_1"), 0);
  });

  isolated("segments: what they hold is free again when they end", async ({ runs }) => {
    await runs.add(run("run_1"));
    await runs.addSteps([step("run_1", 0, "a"), step("run_1", 1, "b")]);
    const segment = { id: "run_1.1", runId: "run_1", agent: "host", steps: [segmentStep("a"), segmentStep("b")] };
    assert.ok(await runs.addSegment(segment, 1));
    assert.equal(await runs.addSegment(segment, 1), false);
    assert.deepEqual(await runs.segments("run_1"), [{ segment, ordinal: 1, ended: false }]);
    assert.deepEqual((await runs.segment("run_1.1"))?.segment, segment);
    assert.equal((await runs.step("run_1", "b"))?.segmentId, "run_1.1");
    await runs.endSegment("run_1.1");
    assert.equal((await runs.step("run_1", "b"))?.segmentId, null);
    assert.deepEqual(await runs.segments("run_1"), []);
    assert.equal((await runs.segments("run_1", true)).length, 1);
    assert.equal(await runs.countSegments("run_1"), 1);
    const attempt = {
      runId: "run_1",
      name: "a",
      attempt: 1,
      segmentId: "run_1.1",
      started: now,
      ended: now,
      error: { code: "c", message: "m" },
    };
    await runs.addAttempt(attempt);
    await runs.addAttempt(attempt);
    assert.deepEqual(await runs.attempts("run_1"), [attempt]);
    assert.deepEqual(await runs.attempts("run_1", "b"), []);
  });

  isolated("results for reuse: found by key, compared with the newest of the step, dropped", async ({ cache }) => {
    const entry = {
      key: "sha256:1",
      workflow: "w",
      step: "a",
      project: "p",
      parts: { image: "i" },
      runId: "run_1",
      stepRun: "a",
      outputs: { o: "1" },
      witnesses: {},
      created: now,
      used: now,
    };
    await cache.save(entry);
    await cache.save({ ...entry, runId: "run_2" });
    assert.deepEqual(await cache.get("sha256:1"), { ...entry, runId: "run_2" });
    await cache.save({ ...entry, key: "sha256:2", created: "2026-01-02" });
    assert.equal((await cache.newest("w", "a"))?.key, "sha256:2");
    await cache.markUsed("sha256:1", "later");
    assert.equal((await cache.get("sha256:1"))?.used, "later");
    assert.equal((await cache.list({ workflow: "w", limit: 10 })).length, 2);
    assert.equal((await cache.list({ key: "sha256:2", limit: 10 })).length, 1);
    assert.equal(await cache.remove({ key: "sha256:1" }), 1);
    assert.equal(await cache.remove({}), 1);
  });
}
