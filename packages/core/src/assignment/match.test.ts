import assert from "node:assert/strict";
import { test } from "node:test";
import type { ArtifactAddress } from "../artifact/address.ts";
import type { WorkflowDefinition } from "../workflow/definition.ts";
import { match, runKey } from "./match.ts";

const code = (name: string, version: string): ArtifactAddress => ({ kind: "code", project: "p", name, version });
const workflow = (inputs: WorkflowDefinition["inputs"]): WorkflowDefinition => ({
  name: "w",
  inputs,
  steps: [{ name: "a", image: "x" }],
});
const none = () => undefined;
const one = workflow([{ name: "src", type: "codeset" }]);

test("an accepted artifact starts a run with itself pinned", () => {
  const found = match(
    { address: code("c", "1"), labels: [] },
    { id: "a1", project: "p", bindings: { src: "code://*" } },
    one,
    none,
  );
  assert.deepEqual(found, { starts: true, pins: { src: code("c", "1") }, key: "a1 src=code://p/c/1" });
});

test("what no binding accepts starts nothing", () => {
  const found = match(
    { address: code("c", "1"), labels: [] },
    { id: "a1", project: "p", bindings: { src: "code://p/other" } },
    one,
    none,
  );
  assert.equal(found.starts, false);
});

test("a push that touches none of the watched paths starts nothing; the first version always does", () => {
  const watching = workflow([{ name: "src", type: "codeset", changes: ["src/**", "MLproject"] }]);
  const assignment = { id: "a1", project: "p", bindings: { src: "code://p/c" } };
  const starts = (changed?: string[]) =>
    match({ address: code("c", "1"), labels: [], ...(changed ? { changed } : {}) }, assignment, watching, none).starts;
  assert.equal(starts(["README.md"]), false);
  assert.equal(starts(["README.md", "src/deep/train.py"]), true);
  assert.equal(starts(["MLproject"]), true);
  assert.equal(starts(), true);
});

test("an input that asks for a label takes only codesets that have it", () => {
  const picky = workflow([{ name: "src", type: "codeset", labels: ["mlflow"] }]);
  const assignment = { id: "a1", project: "p", bindings: { src: "code://*" } };
  assert.equal(match({ address: code("c", "1"), labels: ["other"] }, assignment, picky, none).starts, false);
  assert.equal(match({ address: code("c", "1"), labels: ["mlflow"] }, assignment, picky, none).starts, true);
});

test("other inputs are pinned to the present version of what they are bound to; without one nothing starts", () => {
  const two = workflow([
    { name: "src", type: "codeset" },
    { name: "data", type: "codeset" },
  ]);
  const assignment = { id: "a1", project: "p", bindings: { src: "code://p/c", data: "code://p/d" } };
  const published = { address: code("c", "2"), labels: [] };
  assert.equal(match(published, assignment, two, none).starts, false);
  const found = match(published, assignment, two, (_kind, _project, name) => code(name, "7"));
  assert.ok(found.starts);
  assert.deepEqual(found.pins, { src: code("c", "2"), data: code("d", "7") });
});

test("the key does not depend on the order of the pins", () => {
  assert.equal(
    runKey("a", { x: code("c", "1"), y: code("d", "2") }),
    runKey("a", { y: code("d", "2"), x: code("c", "1") }),
  );
});
