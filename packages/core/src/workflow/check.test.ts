import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Diagnostic } from "../diagnostic.ts";
import { checkWorkflow } from "./check.ts";
import { workflowJsonSchema } from "./definition.ts";
import { parseWorkflow } from "./parse.ts";

/** Everything that is wrong with a text, by the reader or by the check. */
function faults(text: string, whyUnresolved?: () => string | undefined): readonly Diagnostic[] {
  const parsed = parseWorkflow(text, "w.yaml");
  if (!parsed.ok) return parsed.error;
  const { definition, source } = parsed.value;
  return checkWorkflow(definition, { source, ...(whyUnresolved ? { catalogue: { whyUnresolved } } : {}) });
}

/** The only fault, as `code line:column`, and all of its words. */
function only(text: string): { at: string; words: string } {
  const found = faults(text);
  assert.equal(found.length, 1, JSON.stringify(found, null, 1));
  const [{ code, at, message, hint }] = found as [Diagnostic];
  return { at: `${code} ${at?.line}:${at?.column}`, words: `${message}; ${hint}` };
}

const workflow = (steps: string, inputs = ""): string => `name: w\n${inputs}steps:\n${steps}`;

test("the seeds' end-to-end workflow is valid as it stands", () => {
  const text = readFileSync(new URL("../../../../examples/workflows/mlflow-e2e.yaml", import.meta.url), "utf8");
  assert.deepEqual(faults(text), []);
});

test("text that is not YAML is told with its line", () => {
  const { at } = only("name: w\nsteps:\n  - name: 'a\n");
  assert.match(at, /^yaml.syntax [34]:/);
});

test("an unknown field is told at its key, with the nearest one", () => {
  const { at, words } = only(workflow("  - name: a\n    imagee: x\n    image: y\n"));
  assert.equal(at, "workflow.unknown-field 4:5");
  assert.match(words, /"imagee".*did you mean "image"/);
});

test("a missing field, a wrong type and a wrong value are told apart", () => {
  assert.match(only(workflow("  - name: a\n")).words, /step "a" has no image/);
  assert.match(only("name: w\nsteps: none\n").words, /"steps" must be a list/);
  assert.match(
    only(workflow("  - {name: a, image: x}\n", "inputs: [{name: i, type: codset}]\n")).words,
    /"codset".*did you mean "codeset"/,
  );
  assert.match(only("just words\n").words, /the definition must be/);
  assert.match(only("name: w\nsteps: []\n").words, /at least one step/);
});

test("an unknown step in an expression is told where the expression stands", () => {
  const { at, words } = only(
    workflow(
      '  - name: build\n    image: x\n    outputs: [{name: image}]\n  - name: b\n    image: "{{ steps.buidl.outputs.image }}"\n',
    ),
  );
  assert.equal(at, "workflow.unknown-step 7:16");
  assert.match(words, /did you mean "build"/);
});

test("an output referenced before its step, by itself, or that the step lacks", () => {
  const before = workflow(
    '  - name: a\n    image: "{{ steps.b.outputs.o }}"\n  - name: b\n    image: x\n    outputs: [{name: o}]\n',
  );
  assert.match(only(before).words, /runs after this one.*move step "b" before step "a"/);
  const self = workflow('  - name: a\n    image: "{{ steps.a.outputs.o }}"\n    outputs: [{name: o}]\n');
  assert.match(only(self).words, /its own output/);
  const lacking = workflow(
    '  - name: a\n    image: x\n    outputs: [{name: mlflow-runtime}]\n  - name: b\n    image: "{{ steps.a.outputs.image }}"\n',
  );
  assert.match(only(lacking).words, /has no output "image".*mlflow-runtime/);
});

test("two steps of one name are told with the line of the first", () => {
  const { at, words } = only(workflow("  - {name: a, image: x}\n  - {name: a, image: y}\n"));
  assert.equal(at, "workflow.duplicate-step 4:12");
  assert.match(words, /the first is on line 3/);
});

test("unknown inputs, properties of scalars, undeclared extensions", () => {
  const inputs = "inputs: [{name: alpha, type: number, default: 1}]\n";
  assert.match(only(workflow('  - {name: a, image: "x:{{ inputs.alhpa }}"}\n', inputs)).words, /did you mean "alpha"/);
  assert.match(only(workflow('  - {name: a, image: "x:{{ inputs.alpha.name }}"}\n', inputs)).words, /has no "name"/);
  const env = '  - name: a\n    image: x\n    env: [{name: E, value: "{{ extensions.s.cfg.URL }}"}]\n';
  assert.match(only(workflow(env)).words, /declares no extension "s"/);
});

test("a codeset input must name a codeset input of the workflow", () => {
  const step = '  - name: a\n    image: x\n    inputs: [{name: c, codeset: {name: "{{ inputs.alpha }}", path: /p}}]\n';
  assert.match(
    only(workflow(step, "inputs: [{name: alpha}, {name: code, type: codeset}]\n")).words,
    /not a codeset input.*code/,
  );
});

test("a workflow output needs a step output, a default must be of its type", () => {
  assert.match(
    only(`outputs: [{name: ulr}]\n${workflow("  - {name: a, image: x, outputs: [{name: url}]}\n")}`).words,
    /did you mean "url"/,
  );
  assert.match(
    only(workflow("  - {name: a, image: x}\n", "inputs: [{name: n, type: integer, default: many}]\n")).words,
    /not of type integer/,
  );
});

test("a selector that nothing matches is told at the extension", () => {
  const text = workflow(
    "  - name: a\n    image: x\n    extensions:\n      - name: store\n        service_resource: s3\n",
  );
  const [fault] = faults(text, () => "no extension is registered");
  assert.equal(fault?.code, "workflow.extension-unresolved");
  assert.equal(fault?.at?.line, 6);
  assert.match(fault?.message ?? "", /step "a".*"store".*no extension is registered/);
});

test("Windows line ends, anchors and comments are YAML like any other", () => {
  assert.deepEqual(
    faults(
      "name: w # a name\r\nsteps:\r\n  - &s {name: a, image: x}\r\n  - {<<: *s, name: b}\r\n".replace(
        "<<: *s, ",
        "image: x, ",
      ),
    ),
    [],
  );
});

test("a bomb of aliases is refused", () => {
  const levels = Array.from(
    { length: 12 },
    (_, n) =>
      `a${n}: &a${n} [${
        n === 0
          ? "x"
          : Array(9)
              .fill(`*a${n - 1}`)
              .join(", ")
      }]`,
  );
  assert.ok(faults(levels.join("\n")).length > 0);
});

test("the JSON Schema for editors is the one in docs/, made from the same source", () => {
  const written = readFileSync(new URL("../../../../docs/workflow.schema.json", import.meta.url), "utf8");
  assert.deepEqual(JSON.parse(written), JSON.parse(JSON.stringify(workflowJsonSchema())), "run: npm run schema");
});

test("what decides when a step runs is checked, each fault at its place", () => {
  const faults: readonly [string, string, RegExp][] = [
    ["  - {name: a, image: x, after: [b]}\n  - {name: b, image: x}\n", "workflow.after-later-step", /order: dataflow/],
    ["  - {name: a, image: x, after: [c]}\n", "workflow.unknown-step", /no step "c"/],
    ["  - {name: a, image: x, when: \"inputs.nope == 'x'\"}\n", "workflow.unknown-input", /no input "nope"/],
    ["  - {name: a, image: x, when: 'a = b'}\n", "workflow.condition-syntax", /not understood/],
    ["  - {name: a, image: '{{ matrix.lr }}', matrix: {rl: [1]}}\n", "workflow.unknown-dimension", /did you mean "rl"/],
    ["  - {name: a, image: x, window: {from: '22:00', to: '06:00', timezone: Mars}}\n", "workflow.timezone", /"Mars"/],
    ["  - {name: a, image: x, env: [{name: 'a-b', value: x}]}\n", "workflow.variable-name", /"a-b"/],
    ["  - {name: a, image: x, timeout: soon}\n", "workflow.value", /written as 30s/],
  ];
  for (const [steps, code, words] of faults) {
    const found = only(workflow(steps));
    assert.ok(found.at.startsWith(`${code} `) || code === "workflow.value", `${found.at} for ${steps}`);
    assert.match(found.words, words);
  }
});

test("in the order dataflow a step may refer to a later one, and a circle is told", () => {
  const steps = (after: string) =>
    `name: w\norder: dataflow\nsteps:\n  - {name: a, image: x, env: [{name: V, value: "{{ steps.b.outputs.o }}"}]}\n  - {name: b, image: x, outputs: [{name: o}]${after}}\n`;
  const parsed = parseWorkflow(steps(""));
  assert.ok(parsed.ok);
  assert.deepEqual(checkWorkflow(parsed.value.definition), []);
  assert.match(only(steps(", after: [a]")).words, /wait for each other: a → b → a/);
});

test("a schedule that cannot be kept is told when the workflow is created", () => {
  assert.match(
    only('name: w\nschedule: {cron: "every day"}\nsteps:\n  - {name: a, image: x}\n').words,
    /schedule "every day" cannot be kept/,
  );
});
