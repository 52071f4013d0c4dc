import assert from "node:assert/strict";
import { test } from "node:test";
import { namesIn } from "./service.ts";

test("names of a registry's images are found in what runs and runnables say", () => {
  const digest = `sha256:${"0".repeat(64)}`;
  const state = JSON.stringify({ image: `127.0.0.1:30500/a/b@${digest}`, outputs: { image: "127.0.0.1:30500/c:1" } });
  assert.deepEqual(namesIn(state, "127.0.0.1:30500"), [`a/b@${digest}`, "c:1"]);
  assert.deepEqual(namesIn(state, "127.0.0.1:3050"), []);
  assert.deepEqual(namesIn('"127x0.0.1:30500/c:1"', "127.0.0.1:30500"), []);
});
