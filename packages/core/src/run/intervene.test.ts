import assert from "node:assert/strict";
import { test } from "node:test";
import { workflowDefinition } from "../workflow/definition.ts";
import { stepGraph } from "./graph.ts";
import { resume, retry, rowsNamed, takenOver } from "./intervene.ts";
import { initialRows, type StepRow } from "./picture.ts";
import type { StepState } from "./state.ts";

const graph = stepGraph(
  workflowDefinition.parse({
    name: "w",
    order: "dataflow",
    steps: [
      { name: "a", image: "x", outputs: [{ name: "list" }] },
      { name: "b", image: "x", after: ["a"] },
      { name: "m", image: "x", matrix: { n: "{{ steps.a.outputs.list }}" } },
      { name: "c", image: "x", after: ["b", "m"] },
      { name: "alone", image: "x" },
    ],
  }),
);
const succeeded: StepState = { status: "succeeded", attempt: 1, since: "t", ended: "t", outputs: {} };
const failed: StepState = { status: "failed", attempt: 2, since: "t", ended: "t", error: { code: "c", message: "m" } };
const skipped: StepState = { status: "skipped", ended: "t", reason: { type: "run-ended" } };
const row = (name: string, state: StepState, of: Partial<StepRow> = {}): StepRow => ({
  ...(initialRows(name, null)[0] as StepRow),
  state,
  attempt: state.status === "skipped" ? 0 : 2,
  ...of,
});
const rows: readonly StepRow[] = [
  row("a", succeeded),
  row("b", failed),
  row("m.0", succeeded, { step: "m", index: 0, combination: { n: "1" } }),
  row("m.1", succeeded, { step: "m", index: 1, combination: { n: "2" } }),
  row("c", skipped),
  row("alone", succeeded),
];
const names = (of: readonly StepRow[]): string[] => of.map(({ name }) => name).sort();

test("to resume, what is not done runs; its tries go on counting and its limit starts anew", () => {
  const { rows: again, recollapse } = resume(graph, rows, undefined);
  assert.deepEqual(names(again), ["b", "c"]);
  assert.deepEqual(recollapse, []);
  const b = again.find(({ name }) => name === "b");
  assert.deepEqual([b?.state, b?.attempt, b?.base], [{ status: "waiting" }, 2, 2]);
});

test("from a step on, all that depends on it runs again; a matrix that depends on it is found anew", () => {
  const { rows: again, recollapse, touched } = resume(graph, rows, "a");
  assert.deepEqual(names(again), ["a", "b", "c", "m"]);
  assert.deepEqual(recollapse, ["m"]);
  assert.ok(touched.includes("m.0") && touched.includes("m.1"));
});

test("to retry one step run of a matrix leaves the others as they are", () => {
  assert.deepEqual(names(retry(graph, rows, "m.1").rows), ["c", "m.1"]);
  assert.deepEqual(names(retry(graph, rows, "b").rows), ["b", "c"]);
});

test("a fork takes over what is done and does not depend on the step", () => {
  assert.deepEqual(names(takenOver(graph, rows, "b")), ["a", "alone", "m.0", "m.1"]);
  assert.deepEqual(names(takenOver(graph, rows, "a")), ["alone"]);
});

test("a step that is not there is told with the nearest one", () => {
  assert.throws(() => rowsNamed(rows, "alon"), { code: "run.step-not-found", hint: /alone/ });
  assert.deepEqual(names(rowsNamed(rows, "m")), ["m.0", "m.1"]);
});
