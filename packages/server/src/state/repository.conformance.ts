import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { StepState } from "@fuseml/core/run/state";
import type { StoredRun, StoredStep } from "../runs/records.ts";
import type { Store } from "./store.ts";

const now = "2026-01-01T00:00:00.000Z";
const waiting: StepState = { status: "waiting" };
const definition = { name: "w", steps: [{ name: "a", image: "x" }] };
const project = { name: "p", description: "d", created: now, parallelism: null };
const codeset = { project: "p", name: "c", description: "", labels: ["mlflow"], created: now };
const code = (version: string) => ({ kind: "code" as const, project: "p", name: "c", version });
const artifact = (version: string, metadata = {}) => ({
  address: code(version),
  location: `git://p/c#${version}`,
  digest: "",
  labels: [],
  metadata,
  runId: null,
  created: now,
});
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

/** What every store of the control plane's state must do, whichever database is behind it. */
export function repositoryConformance(name: string, open: () => Promise<Store>): void {
  describe(`repositories on ${name}`, () => {
    let store: Store;
    before(async () => {
      store = await open();
    });
    after(() => store.close());

    /** Each test in a transaction that is rolled back: none sees another's rows. */
    const isolated = (
      title: string,
      work: (unit: Parameters<Parameters<Store["transaction"]>[0]>[0]) => Promise<void>,
    ) =>
      test(title, async () => {
        const undo = new Error("undo");
        await assert.rejects(
          store.transaction(async (unit) => {
            await work(unit);
            throw undo;
          }),
          undo,
        );
      });

    test("a transaction is all or nothing, and what was to follow it follows only a commit", async () => {
      const followed: string[] = [];
      await assert.rejects(
        store.transaction(async (unit) => {
          unit.afterCommit(() => followed.push("rolled back"));
          await unit.projects.add({ ...project, name: "gone" });
          throw new Error("no");
        }),
      );
      assert.equal(await store.read.projects.get("gone"), undefined);
      await store.transaction(async (unit) => {
        unit.afterCommit(() => followed.push("committed"));
        await unit.projects.add({ ...project, name: "kept" });
      });
      assert.deepEqual(await store.read.projects.get("kept"), { ...project, name: "kept" });
      assert.deepEqual(followed, ["committed"]);
      await store.transaction((unit) => unit.projects.remove("kept"));
    });

    test("transactions at once do not see each other half done", async () => {
      const names = async (repositories: Pick<Store["read"], "projects">) =>
        (await repositories.projects.list()).map((of) => of.name).filter((of) => of.startsWith("at-once"));
      const add = (n: number) =>
        store.transaction(async (unit) => {
          await unit.projects.add({ ...project, name: `at-once-${n}` });
          assert.ok((await names(unit)).includes(`at-once-${n}`));
          await unit.projects.add({ ...project, name: `at-once-too-${n}` });
        });
      const look = async () => assert.equal((await names(store.read)).length % 2, 0);
      await Promise.all(Array.from({ length: 10 }, (_, n) => [add(n), look()]).flat());
      assert.equal((await names(store.read)).length, 20);
      await store.transaction(async (unit) => {
        for (const name of await names(unit)) assert.ok(await unit.projects.remove(name));
      });
    });

    isolated("projects: names are unique, users are kept", async ({ projects }) => {
      assert.ok(await projects.add(project));
      assert.equal(await projects.add({ ...project, description: "other" }), false);
      assert.equal((await projects.get("p"))?.description, "d");
      await projects.addUser({ project: "p", name: "u", email: "e", password: "1" });
      await projects.addUser({ project: "p", name: "u", email: "e", password: "2" });
      assert.deepEqual(await projects.users("p"), [{ project: "p", name: "u", email: "e", password: "1" }]);
      assert.ok(await projects.remove("p"));
      assert.equal(await projects.remove("p"), false);
      assert.deepEqual(await projects.users("p"), []);
    });

    isolated("codesets: unique in a project, found by project and label", async ({ projects, codesets }) => {
      await projects.add(project);
      assert.ok(await codesets.add(codeset));
      assert.equal(await codesets.add(codeset), false);
      assert.deepEqual(await codesets.get("p", "c"), codeset);
      assert.equal((await codesets.list({ project: "p", label: "mlflow" })).length, 1);
      assert.equal((await codesets.list({ label: "other" })).length, 0);
      assert.equal((await codesets.list({ project: "q" })).length, 0);
      assert.ok(await codesets.remove("p", "c"));
      assert.equal(await codesets.get("p", "c"), undefined);
    });

    isolated("artifacts: an address is taken once, the newest is the one added last", async ({ artifacts }) => {
      assert.ok(await artifacts.add(artifact("b", { head: true })));
      assert.ok(await artifacts.add(artifact("a")));
      assert.equal(await artifacts.add({ ...artifact("b"), location: "elsewhere" }), false);
      assert.deepEqual(await artifacts.get(code("b")), artifact("b", { head: true }));
      assert.equal((await artifacts.newest("code", "p", "c"))?.address.version, "a");
      assert.deepEqual(
        (await artifacts.list({ kind: "code", project: "p", limit: 10 })).map((of) => of.address.version),
        ["a", "b"],
      );
      assert.equal((await artifacts.atLocation("git://p/c#a"))?.address.version, "a");
      await artifacts.tag(code("a"), "head");
      await artifacts.tag(code("b"), "head");
      assert.equal((await artifacts.tagged("code", "p", "c", "head"))?.address.version, "b");
      assert.equal(await artifacts.tagged("code", "p", "c", "stable"), undefined);
      await artifacts.removeOf("code", "p", "c");
      assert.equal(await artifacts.tagged("code", "p", "c", "head"), undefined);
      assert.equal(await artifacts.newest("code", "p", "c"), undefined);
    });

    isolated("lineage: an edge is there once, and is found from both ends", async ({ artifacts }) => {
      const edge = { source: "code://p/c/1", target: "run:r", relation: "input", created: now };
      await artifacts.link(edge);
      await artifacts.link(edge);
      assert.deepEqual(await artifacts.edgesFrom("code://p/c/1"), [edge]);
      assert.deepEqual(await artifacts.edgesTo("run:r"), [edge]);
    });

    isolated("workflows: versions are kept, the last one saved is present", async ({ workflows }) => {
      const version = (n: number) => ({ name: "w", version: n, digest: `d${n}`, definition, created: now });
      await workflows.save(version(1));
      await workflows.save(version(2));
      assert.equal((await workflows.get("w"))?.version, 2);
      assert.deepEqual(await workflows.getVersion("w", 1), version(1));
      assert.equal((await workflows.list("w")).length, 1);
      assert.equal((await workflows.list("v")).length, 0);
      assert.ok(await workflows.remove("w"));
      assert.deepEqual(await workflows.getVersion("w", 1), version(1));
      assert.equal(await workflows.get("w"), undefined);
    });

    isolated(
      "assignments: the same bindings once, whatever their order; gone with the workflow",
      async ({ workflows, assignments }) => {
        await workflows.save({ name: "w", version: 1, digest: "d", definition, created: now });
        const assignment = {
          id: "asg_1",
          workflow: "w",
          project: "p",
          bindings: { a: "code://*", b: "model://p/*" },
          values: { mode: "fast" },
          created: now,
          newer: "queue",
          schedule: { cron: "0 3 * * *", timezone: "UTC", missed: "once" },
          nextMoment: "2026-01-02T03:00:00.000Z",
        } as const;
        assert.ok(await assignments.add(assignment));
        assert.equal(
          await assignments.add({ ...assignment, id: "asg_2", bindings: { b: "model://p/*", a: "code://*" } }),
          false,
        );
        assert.deepEqual(await assignments.list({ workflow: "w" }), [assignment]);
        assert.deepEqual(await assignments.get("asg_1"), assignment);
        assert.deepEqual(await assignments.due("2026-01-02T03:00:00.000Z"), [assignment]);
        assert.deepEqual(await assignments.due("2026-01-02T02:59:59.999Z"), []);
        assert.equal(await assignments.nextMoment(), assignment.nextMoment);
        await assignments.update("asg_1", { newer: "cancel", nextMoment: null });
        assert.deepEqual(await assignments.get("asg_1"), { ...assignment, newer: "cancel", nextMoment: null });
        assert.equal(await assignments.nextMoment(), undefined);
        await workflows.remove("w");
        assert.deepEqual(await assignments.list({}), []);
      },
    );

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

    isolated("events of a subject come in the order of writing, after a number", async ({ events }) => {
      for (const type of ["one", "two", "three"])
        await events.append({ subject: "run:r", type, data: { type }, time: now });
      await events.append({ subject: "run:other", type: "x", data: {}, time: now });
      const all = await events.after("run:r", 0);
      assert.deepEqual(
        all.map((event) => event.type),
        ["one", "two", "three"],
      );
      assert.deepEqual(await events.after("run:r", all[1]?.seq ?? 0), [all[2]]);
      const last = await events.last();
      assert.equal((await events.page(0, 100)).at(-1)?.seq, last);
      assert.deepEqual(await events.page(last, 100), []);
      assert.equal((await events.page(0, 1)).length, 1);
      await events.removeOf("run:r");
      assert.deepEqual(await events.after("run:r", 0), []);
    });

    isolated("webhooks: unique names, where they are, gone", async ({ webhooks }) => {
      const webhook = {
        name: "w",
        url: "http://127.0.0.1:1/",
        types: ["run.ended"],
        project: "",
        workflow: "",
        secret: "",
        cursor: 3,
        failures: 0,
        nextTry: null,
        lastError: null,
        created: now,
      };
      assert.ok(await webhooks.add(webhook));
      assert.equal(await webhooks.add(webhook), false);
      await webhooks.update("w", { cursor: 5, failures: 2, nextTry: now, lastError: "no" });
      assert.deepEqual(await webhooks.list(), [{ ...webhook, cursor: 5, failures: 2, nextTry: now, lastError: "no" }]);
      assert.ok(await webhooks.remove("w"));
      assert.equal(await webhooks.remove("w"), false);
    });

    isolated(
      "extensions: a record is a whole with its services, endpoints and sealed credentials",
      async ({ extensions }) => {
        const extension = {
          id: "e",
          product: "mlflow",
          version: "3",
          description: "",
          zone: "",
          configuration: { A: "1" },
          registered: now,
          updated: now,
          services: [
            {
              id: "s",
              resource: "s3",
              category: "store",
              description: "",
              auth_required: true,
              configuration: {},
              registered: now,
              updated: now,
              endpoints: [{ url: "http://x", type: "external" as const, configuration: { B: "2" } }],
              credentials: [
                {
                  id: "k",
                  default: true,
                  scope: "project" as const,
                  projects: ["p"],
                  users: [],
                  sealed: "v1.x",
                  created: now,
                  updated: now,
                },
              ],
            },
          ],
        };
        await extensions.save(extension);
        assert.deepEqual(await extensions.get("e"), extension);
        const smaller = { ...extension, version: "4", services: [] };
        await extensions.save(smaller);
        assert.deepEqual(await extensions.list(), [smaller]);
        assert.ok(await extensions.remove("e"));
        assert.equal(await extensions.remove("e"), false);
      },
    );

    isolated("applications: each registration is a revision", async ({ applications }) => {
      const application = {
        name: "a",
        type: "predictor",
        description: "",
        url: "u",
        workflow: "w",
        k8s_namespace: "n",
        k8s_resources: [{ name: "a", kind: "InferenceService" }],
        revision: 1,
        created: now,
        updated: now,
      };
      const revision = { application: "a", revision: 1, run_id: "run_1", model: null, created: now };
      await applications.save(application, revision);
      await applications.save({ ...application, url: "v", revision: 2 }, { ...revision, revision: 2 });
      assert.deepEqual(await applications.get("a"), { ...application, url: "v", revision: 2 });
      assert.deepEqual(
        (await applications.revisions("a")).map((of) => of.revision),
        [2, 1],
      );
      assert.equal((await applications.list({ type: "predictor", workflow: "w" })).length, 1);
      assert.equal((await applications.list({ type: "other" })).length, 0);
      assert.ok(await applications.remove("a"));
      assert.deepEqual(await applications.revisions("a"), []);
    });

    isolated("tokens: found by hash, gone with their run", async ({ tokens }) => {
      const token = { hash: "h", name: "run r", runId: "r", created: now, roles: [] };
      await tokens.add(token);
      await tokens.add(token);
      assert.deepEqual(await tokens.find("h"), token);
      await tokens.add({ hash: "i", name: "me", runId: null, created: now, roles: ["lead"] });
      assert.deepEqual(
        (await tokens.list()).map((of) => [of.name, of.roles]),
        [["me", ["lead"]]],
      );
      assert.ok(await tokens.removeNamed("me"));
      assert.equal(await tokens.removeNamed("me"), false);
      await tokens.removeOfRun("r");
      assert.equal(await tokens.find("h"), undefined);
    });

    isolated("inference services, their objects, runnables and bundles are written over", async (unit) => {
      const service = {
        namespace: "n",
        name: "s",
        generation: 1,
        spec: {},
        metadata: { uid: "u", labels: {}, annotations: {} },
        revisions: [],
        created: now,
      };
      await unit.inferenceServices.save(service);
      await unit.inferenceServices.save({ ...service, generation: 2 });
      assert.deepEqual(await unit.inferenceServices.list("n"), [{ ...service, generation: 2 }]);
      assert.ok(await unit.inferenceServices.remove("n", "s"));
      await unit.kubernetesObjects.save("Secret", "n", "s", "1");
      await unit.kubernetesObjects.save("Secret", "n", "s", "2");
      assert.equal(await unit.kubernetesObjects.get("Secret", "n", "s"), "2");
      assert.equal(await unit.kubernetesObjects.get("ServiceAccount", "n", "s"), undefined);
      assert.ok(await unit.kubernetesObjects.remove("Secret", "n", "s"));
      await unit.runnables.save({ id: "r", kind: "custom", created: now, body: { a: 1 } });
      await unit.runnables.save({ id: "r", kind: "trainer", created: now, body: { a: 2 } });
      assert.deepEqual(await unit.runnables.list(), [{ id: "r", kind: "trainer", created: now, body: { a: 2 } }]);
      await unit.bundles.save({ name: "b", state: "1", created: now });
      await unit.bundles.save({ name: "b", state: "2", created: now });
      assert.deepEqual(await unit.bundles.list(), [{ name: "b", state: "2", created: now }]);
      assert.ok(await unit.bundles.remove("b"));
    });
  });
}
