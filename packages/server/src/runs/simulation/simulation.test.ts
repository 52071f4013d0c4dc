import assert from "node:assert/strict";
import { test } from "node:test";
import { simulate } from "./simulation.ts";

const seeds = 1000;

test(`${seeds} seeds of crashes, pauses, mixed words and people who step in: nothing lost, doubled or stuck`, async () => {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const { violations, trace } = await simulate(seed);
    assert.deepEqual(violations, [], `npm run simulate -- --seed ${seed}\n${trace.join("\n")}`);
  }
});

test("a seed plays the same every time", async () => {
  for (const seed of [7, 42, 4711]) {
    assert.deepEqual((await simulate(seed)).trace, (await simulate(seed)).trace);
  }
});
