/** The quickstart in containers: the same workflow file, an image built, pushed and run, a prediction. */
import assert from "node:assert/strict";
import { homedir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connectEngine } from "@fuseml/server/agents/container/engine-address";
import { noEngine, testEngines } from "@fuseml/server/agents/container/test-engines.fixture";
import { freePort } from "@fuseml/server/platform/processes/ports";
import { Fuseml } from "../support/fuseml.ts";

const minutes = 60_000;
// the conformance suite is for every engine; the whole way once
const engine = testEngines().at(-1);

describe("the quickstart in containers", { skip: noEngine, timeout: 15 * minutes }, () => {
  let fuseml: Fuseml;
  before(async () => {
    fuseml = await Fuseml.start({
      FUSEML_AGENTS: "container",
      FUSEML_CONTAINER_ENGINE: engine?.address,
      FUSEML_REGISTRY_PORT: String(await freePort()),
      // layers are made once for all tests
      XDG_CACHE_HOME: process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"),
    });
  });
  after(() => fuseml.dispose());

  const newest = async () => {
    const [run] = await fuseml.client.call("GET /workflows/runs", { query: { limit: "1" } });
    return fuseml.client.call("GET /runs/{id}", { params: { id: run?.name ?? "" } });
  };

  test("from nothing to a prediction, with the same workflow file", async () => {
    const { code, out, err } = await fuseml.cli("quickstart", "--agent", "container");
    assert.equal(code, 0, `${out}${err}`);
    assert.match(out, /"outputs":\[\{"name":"predict".*"data":\[0,1\]/);
  });

  test("each step records the digest of the image that ran; the built image has a lineage", async () => {
    const { steps } = await newest();
    for (const step of steps) assert.match(step.image ?? "", /@sha256:[0-9a-f]{64}$/, step.name);
    const [built] = await fuseml.client.call("GET /artifacts", { query: { kind: "runnable", project: "workspace" } });
    assert.match(built?.address ?? "", /^runnable:\/\/workspace\/wines-trainer\/[0-9a-f]{16}$/);
    const { summary } = await fuseml.client.call("GET /artifacts/lineage", { query: { of: built?.address ?? "" } });
    assert.match(summary, /^code:\/\/workspace\/wines\/\w+ → run_\w+ → runnable:/);
  });

  test("new code with the same requirements is trained in the image that is there; the digest of code is what differs", async () => {
    const copy = join(fuseml.home, "copy");
    await fuseml.git(fuseml.home, "clone", "--quiet", `${fuseml.url}/git/workspace/wines.git`, copy);
    const { code, err } = await fuseml.run("sed", ["-i", "s/default: 1.0/default: 2.0/", "MLproject"], copy);
    assert.equal(code, 0, err);
    await fuseml.git(copy, "commit", "--quiet", "--allow-empty", "-am", "another");
    await fuseml.git(copy, "push", "--quiet");
    const run = (await newest()).name;
    await fuseml.ok("run", "wait", run);
    const log = await fuseml.ok("run", "logs", run);
    assert.match(log, /is there \(sha256:[0-9a-f]+\): the requirements did not change/);
  });

  test("images that nothing refers to go, those that are used stay", async () => {
    const kept = await fuseml.ok("registry", "gc", "--dry-run");
    assert.match(kept, /^0 images would be removed/);
    // what a living application came from would stay
    await fuseml.ok("application", "delete", "workspace-wines-mlflow-e2e");
    await fuseml.ok("run", "prune", "--older-than", "0s");
    const gone = await fuseml.ok("registry", "gc");
    assert.match(gone, /mlflow\/trainer:[0-9a-f]{16}/);
    assert.match(gone, /1 images removed, 4 stay, [1-9]\d* MB freed/);
    const list = await fuseml.ok("registry", "list");
    assert.match(list, /fuseml\/mlflow-runtime/);
    assert.doesNotMatch(list, /mlflow\/trainer/);
  });

  test("no container is left on the engine", async () => {
    const { docker } = await connectEngine(engine?.address ?? "");
    assert.deepEqual(await docker.listContainers({ all: true }), []);
  });
});
