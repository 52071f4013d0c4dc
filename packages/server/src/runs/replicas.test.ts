import assert from "node:assert/strict";
import { test } from "node:test";
import { Hub } from "../platform/events/hub.ts";
import { createLog } from "../platform/log.ts";
import { sqliteStore } from "../state/store.ts";
import { Replicas } from "./replicas.ts";
import { Random } from "./simulation/random.ts";
import { VirtualTime } from "./simulation/virtual-time.ts";

const leaseMs = 5000;
const trials = 1000;

async function two() {
  const store = await sqliteStore(":memory:");
  const time = new VirtualTime();
  const make = (id: string) =>
    new Replicas({
      store,
      engine: { advance: () => undefined },
      hub: new Hub(),
      clock: time.clock,
      timers: time.timersOf(id),
      log: createLog("silent"),
      self: { id, url: `http://${id}`, host: "h" },
      leaseMs,
    });
  const [one, other] = [make("rep_1"), make("rep_2")];
  await one.start();
  await other.start();
  return { store, time, one, other };
}

test(`${trials} beats that come late, but within the lease: nobody is taken for dead`, async () => {
  const { store, time, one, other } = await two();
  const random = new Random(3);
  for (let n = 0; n < trials; n += 1) {
    // the other looks often; this one beats as late as it may
    const late = 1 + random.below(leaseMs - 1);
    for (let passed = 0; passed < late; ) {
      const step = Math.min(late - passed, 1 + random.below(900));
      time.advance(step, () => false);
      passed += step;
      await other.beat();
      assert.equal(other.others, 1, `after ${passed} of ${late} ms without a beat`);
    }
    await one.beat();
    await other.beat();
  }
  assert.equal((await store.read.replicas.list()).length, 2);
  await store.close();
});

test("one that is silent for the lease loses its runs within two looks; the first by name leads", async () => {
  const { store, time, one, other } = await two();
  assert.equal(one.leads, true);
  assert.equal(other.leads, false);
  assert.equal(other.urlOf("rep_1"), "http://rep_1");
  await other.beat();
  time.advance(leaseMs, () => false);
  await other.beat();
  assert.equal(other.leads, true);
  assert.deepEqual(
    (await store.read.replicas.list()).map((of) => of.id),
    ["rep_2"],
  );
  await one.beat();
  assert.equal((await store.read.replicas.list()).length, 2, "it comes back when it lives on");
  await store.close();
});
