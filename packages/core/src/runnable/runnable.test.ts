import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { WorkflowStep } from "../workflow/definition.ts";
import { applyRunnable, words } from "./apply.ts";
import { mismatches } from "./compatible.ts";
import { runnableDescriptor } from "./descriptor.ts";

const descriptor = runnableDescriptor.parse({
  id: "transformer",
  kind: "custom",
  container: {
    image: "example.org/transformer:1",
    entrypoint: "python {{inputs.project}}/transform.py",
    args: ["--rate", "{{inputs.rate}}", "--out", "{{outputs.table}}"],
    env: { MODE: "{{ inputs.mode }}" },
  },
  input: {
    parameters: { rate: { description: "how fast" }, mode: { defaultValue: "plain" }, note: { optional: true } },
    artifacts: { project: { kind: "codeset" } },
  },
  output: { parameters: { table: {} } },
});

const step = (of: Partial<WorkflowStep> = {}): WorkflowStep => ({
  name: "a",
  inputs: [
    { name: "project", codeset: { name: "{{ inputs.code }}", path: "/project" } },
    { name: "rate", value: "{{ steps.b.outputs.rate }}" },
  ],
  outputs: [{ name: "table" }],
  ...of,
});

test("a step that gives what the runnable takes fits", () => {
  assert.deepEqual(mismatches(step(), descriptor, {}), []);
});

test("unknown, missing and wrong inputs are told, with the nearest name", () => {
  const told = (of: Partial<WorkflowStep>) =>
    mismatches(step(of), descriptor, {}).map((one) => `${one.message}; ${one.hint}`);
  const code = { name: "project", codeset: { name: "{{ inputs.code }}", path: "/project" } };
  assert.deepEqual(told({ inputs: [code, { name: "rates", value: "1" }] }), [
    'runnable "transformer" has no input "rates"; did you mean "rate"?',
    'runnable "transformer" needs the input "rate"; add to the step\'s inputs: {name: rate, value: …}',
  ]);
  assert.match(
    told({
      inputs: [
        { name: "project", value: "x" },
        { name: "rate", value: "1" },
      ],
    })[0] ?? "",
    /takes a codeset/,
  );
  assert.match(told({ inputs: [{ ...code, name: "rate" }, code] })[0] ?? "", /takes a value, not a codeset/);
  assert.match(told({ outputs: [{ name: "tables" }] })[0] ?? "", /no output "tables"; did you mean "table"/);
});

test("an input of the workflow counts as given: every step sees it", () => {
  const inputs = [{ name: "project", codeset: { name: "{{ inputs.code }}", path: "/project" } }];
  assert.deepEqual(mismatches(step({ inputs }), descriptor, { inputs: [{ name: "rate", type: "number" }] }), []);
});

test("image, command, arguments and variables come from the descriptor; what the step says wins", () => {
  const applied = applyRunnable(step(), { image: "example.org/transformer:1", descriptor });
  assert.equal(applied.image, "example.org/transformer:1");
  assert.deepEqual(applied.entrypoint, ["python", "/project/transform.py"]);
  assert.deepEqual(applied.args, ["--rate", "{{ steps.b.outputs.rate }}", "--out", "/tekton/results/table"]);
  assert.deepEqual(applied.env, [
    { name: "MODE", value: "plain" },
    { name: "FUSEML_MODE", value: "plain" },
  ]);
  assert.deepEqual(applyRunnable(step({ args: ["-h"] }), { image: "i", descriptor }).args, ["-h"]);
});

test("a command line in words", () => {
  assert.deepEqual(words(`sh -c 'echo "a b"' --x="1 2" {{ inputs.a }}/b`), [
    "sh",
    "-c",
    'echo "a b"',
    "--x=1 2",
    "{{ inputs.a }}/b",
  ]);
});

test("words joined by blanks are the same words again", () => {
  const word = fc.stringMatching(/^[a-z0-9./=-]{1,8}$/);
  fc.assert(fc.property(fc.array(word), (list) => assert.deepEqual(words(list.join(" ")), list)));
});
