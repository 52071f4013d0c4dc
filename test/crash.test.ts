import assert from "node:assert/strict";
import { test } from "node:test";
import { crash } from "./crash/crash.ts";

const kills = 100;

test(`a server killed ${kills} times while runs go on: nothing lost, nothing twice, living steps adopted`, {
  timeout: 600_000,
}, async () => {
  const { lost, doubled, adopted, steps } = await crash({ kills, seed: 1 });
  assert.deepEqual([lost, doubled], [[], []]);
  assert.ok(adopted > kills / 2, `${adopted} adopted`);
  assert.ok(steps > kills, `${steps} steps`);
});
