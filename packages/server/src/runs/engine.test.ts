import assert from "node:assert/strict";
import { test } from "node:test";
import { type WorkflowDefinition, workflowDefinition } from "@fuseml/core/workflow/definition";
import { Hub } from "../platform/events/hub.ts";
import { ids } from "../platform/ids.ts";
import { createLog } from "../platform/log.ts";
import { type Store, sqliteStore } from "../state/store.ts";
import { Engine } from "./engine.ts";
import { Interventions } from "./interventions.ts";
import { Launcher } from "./launcher.ts";
import { Reuse } from "./reuse.ts";
import { Scheduler } from "./scheduler.ts";
import { Random } from "./simulation/random.ts";
import { SimulatedAgent, SimulatedWorld } from "./simulation/simulated-agent.ts";
import { VirtualTime } from "./simulation/virtual-time.ts";

const log = createLog("silent");
const person = { name: "me", roles: [], mayAll: true };

/** A server over a store, with agents of these names, on virtual time. */
function serverOver(store: Store, time: VirtualTime, world: SimulatedWorld, random: Random, names: readonly string[]) {
  const agents = names.map((name) => new SimulatedAgent(name, world, random));
  const { clock } = time;
  const timers = time.timersOf("rep");
  const extensions = {
    forStep: async () => ({ variables: {}, secrets: [], choices: {} }),
    catalogue: async () => ({ whyUnresolved: () => undefined }),
  };
  const code = { treeOf: async () => undefined };
  const reuse = new Reuse({ store, agents, code, witness: { digestOf: async () => "" }, clock });
  const engine = new Engine({
    store,
    agents,
    extensions,
    reuse,
    hub: new Hub(),
    clock,
    timers,
    log,
    replica: "rep",
    issueToken: async () => "",
    serverUrl: "",
  });
  const launcher = new Launcher({
    clock,
    ids: ids(clock, random.next),
    journal: engine.journal,
    replica: "rep",
    launched: (id) => engine.advance(id),
  });
  return {
    agents,
    engine,
    launcher,
    interventions: new Interventions({ store, engine, clock }),
    scheduler: new Scheduler({ store, launcher, clock, timers, log }),
  };
}

async function withWorkflow(of: object): Promise<{ store: Store; definition: WorkflowDefinition }> {
  const store = await sqliteStore(":memory:");
  const definition = workflowDefinition.parse({ name: "w", ...of });
  await store.transaction((unit) =>
    unit.workflows.save({ name: "w", version: 1, digest: "", definition, created: "2026-01-01T00:00:00.000Z" }),
  );
  return { store, definition };
}

test("an agent that is gone: the step says so, and the run is resumed elsewhere", async () => {
  const { store } = await withWorkflow({
    steps: [
      { name: "a", image: "x" },
      { name: "b", image: "x" },
    ],
  });
  const time = new VirtualTime();
  const random = new Random(1);
  const world = new SimulatedWorld(random, time.clock);
  const first = serverOver(store, time, world, random, ["old"]);
  const workflow = await store.read.workflows.get("w");
  assert.ok(workflow);
  const run = await store.transaction((unit) =>
    first.launcher.launch(unit, {
      workflow,
      project: "",
      artifacts: {},
      values: {},
      cause: { type: "manual", by: "me" },
    }),
  );
  assert.ok(run);
  await first.engine.idle();
  world.progress(0);
  // the next server knows another agent only
  const next = serverOver(store, time, world, random, ["new"]);
  await next.engine.start();
  await next.engine.idle();
  const failed = await store.read.runs.get(run.id);
  assert.equal(failed?.status, "failed");
  assert.equal(failed?.error?.code, "step.agent-gone");
  await next.interventions.resume(run.id, undefined, person);
  await next.engine.idle();
  for (let rounds = 0; rounds < 20; rounds += 1) {
    world.progress(0);
    for (const agent of next.agents) agent.stirAll();
    await new Promise((resolve) => setImmediate(resolve));
    await next.engine.idle();
  }
  assert.equal((await store.read.runs.get(run.id))?.status, "succeeded");
  await store.close();
});

test("a clock that jumps over moments of a schedule: what was missed is made up for as asked, each moment once", async () => {
  const moments: Record<string, number> = {};
  for (const missed of ["skip", "once", "all"] as const) {
    const { store } = await withWorkflow({ steps: [{ name: "a", image: "x" }] });
    const time = new VirtualTime();
    const random = new Random(1);
    const { scheduler } = serverOver(store, time, new SimulatedWorld(random, time.clock), random, ["a"]);
    const created = "2026-01-01T00:00:00.000Z";
    await store.transaction((unit) =>
      unit.assignments.add({
        id: "asg",
        workflow: "w",
        project: "p",
        bindings: {},
        values: {},
        created,
        newer: "parallel",
        schedule: { cron: "0 * * * *", timezone: "UTC", missed },
        nextMoment: "2026-01-01T01:00:00.000Z",
      }),
    );
    const count = async () => (await store.read.runs.list({ limit: 1000 })).length;
    scheduler.refresh();
    await scheduler.idle();
    assert.equal(await count(), 0, "nothing is due yet");
    time.advance(3_600_000, () => true);
    await scheduler.idle();
    assert.equal(await count(), 1, "a punctual moment");
    // the machine sleeps for ten hours and a half: no timer rings meanwhile
    time.advance(10.5 * 3_600_000, () => false);
    scheduler.refresh();
    scheduler.refresh();
    await scheduler.idle();
    moments[missed] = (await count()) - 1;
    assert.equal((await store.read.assignments.get("asg"))?.nextMoment, "2026-01-01T12:00:00.000Z");
    await scheduler.stop();
    await store.close();
  }
  assert.deepEqual(moments, { skip: 0, once: 1, all: 10 });
});
