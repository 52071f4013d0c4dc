import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { runRepositoryConformance } from "./run-repository.conformance.ts";
import type { Store } from "./store.ts";

const now = "2026-01-01T00:00:00.000Z";
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

    runRepositoryConformance(isolated);

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
