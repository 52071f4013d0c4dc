import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { workflowDefinition } from "../workflow/definition.ts";
import type { PlannableAgent } from "./choose-agent.ts";
import { completeStep } from "./complete.ts";
import { stepGraph } from "./graph.ts";
import { initialRows, type Picture, type StepRow, type StepsOf, withExpansion, withRows } from "./picture.ts";
import { plan } from "./plan.ts";
import type { PinnedInputs } from "./spec.ts";
import { countSteps, type Outputs, type StepState } from "./state.ts";

const pins: PinnedInputs = {
  codesets: { code: { kind: "code", project: "p", name: "c", version: "1" } },
  models: {},
  values: { mode: "fast" },
};
const any: PlannableAgent = { name: "host", accepts: () => ({ accepted: true }) };
const done = (outputs: Outputs = {}): StepState => ({
  status: "succeeded",
  attempt: 1,
  since: "t",
  ended: "t",
  outputs,
});

/** A new run of these steps. */
function pictureOf(steps: object[], of: { order?: string; stepwise?: boolean; now?: string } = {}): Picture {
  const definition = workflowDefinition.parse({
    name: "w",
    inputs: [{ name: "code", type: "codeset" }, { name: "mode" }],
    ...(of.order ? { order: of.order } : {}),
    steps: steps.map((step) => ({ image: "img", ...step })),
  });
  const graph = stepGraph(definition);
  const byStep = new Map<string, StepsOf>();
  for (const { name } of definition.steps) {
    const free = initialRows(name, null);
    byStep.set(name, { counts: countSteps(free.map((row) => row.state)), free });
  }
  return {
    runId: "run_1",
    graph,
    pins,
    steps: byStep,
    outputs: new Map(),
    segments: 0,
    inFlight: 0,
    stepwise: of.stepwise ?? false,
    now: of.now ?? "2026-01-01T12:00:00.000Z",
  };
}
const rowOf = (picture: Picture, name: string): StepRow => {
  const row = [...picture.steps.values()].flatMap(({ free }) => free).find((candidate) => candidate.name === name);
  assert.ok(row, `${name} waits`);
  return row;
};
const finish = (picture: Picture, name: string, outputs: Outputs = {}): Picture =>
  withRows(picture, [{ ...rowOf(picture, name), state: done(outputs), attempt: 1 }]);
const shape = (picture: Picture, agents = [any]): string[][] =>
  plan(picture, agents).segments.map((segment) => segment.steps.map((step) => step.name));

test("a plain workflow is one segment; the same input gives the same plan", () => {
  const picture = pictureOf([
    { name: "build", outputs: [{ name: "image" }] },
    { name: "train", image: "{{ steps.build.outputs.image }}" },
  ]);
  const decision = plan(picture, [any]);
  assert.deepEqual(
    decision.segments.map((segment) => [segment.id, segment.agent, segment.steps.map((step) => step.needs)]),
    [["run_1.1", "host", [[], ["build"]]]],
  );
  assert.deepEqual(plan(picture, [any]), decision);
  assert.deepEqual(decision.segments[0]?.steps[1]?.image, [{ step: "build", output: "image" }]);
});

test("finished steps are left out and what they gave is filled in: resuming is planning", () => {
  const picture = pictureOf([
    { name: "build", outputs: [{ name: "image" }] },
    { name: "train", image: "{{ steps.build.outputs.image }}" },
  ]);
  const [segment] = plan(finish(picture, "build", { image: "img:1" }), [any]).segments;
  assert.deepEqual(
    segment?.steps.map((step) => [step.name, step.image, step.needs]),
    [["train", ["img:1"], []]],
  );
});

test("a boundary falls where the agent changes, and the second segment waits for the first", () => {
  const only = (name: string, step: string): PlannableAgent => ({
    name,
    accepts: (of) => (of.name === step ? { accepted: true } : { accepted: false, reason: new Error("not mine") }),
  });
  const agents = [only("a", "one"), only("b", "two")];
  const picture = pictureOf([{ name: "one" }, { name: "two" }]);
  assert.deepEqual(shape(picture, agents), [["one"]]);
  assert.deepEqual(shape(finish(picture, "one"), agents), [["two"]]);
});

test("a step that no agent takes is named, with the reason", () => {
  const refusing: PlannableAgent = {
    name: "host",
    accepts: () => ({ accepted: false, reason: new Error("no recipe") }),
  };
  const { refused } = plan(pictureOf([{ name: "build" }]), [refusing]);
  assert.equal(refused?.step, "build");
  assert.match(refused?.reason.message ?? "", /no recipe/);
});

test("in the order dataflow a step waits for what it refers to and what it names, and for nothing else", () => {
  const picture = pictureOf(
    [
      { name: "join", inputs: [{ name: "x", value: "{{ steps.left.outputs.o }}" }], after: ["right"] },
      { name: "left", outputs: [{ name: "o" }] },
      { name: "right" },
      { name: "alone" },
    ],
    { order: "dataflow" },
  );
  const [segment] = plan(picture, [any]).segments;
  assert.deepEqual(
    segment?.steps.map((step) => [step.name, [...step.needs].sort()]),
    [
      ["left", []],
      ["right", []],
      ["join", ["left", "right"]],
      ["alone", []],
    ],
  );
});

test("a condition is decided when what it refers to is known; what uses a skipped step's outputs is skipped", () => {
  const picture = pictureOf([
    { name: "test", outputs: [{ name: "accuracy" }] },
    { name: "deploy", when: "steps.test.outputs.accuracy > 0.9", outputs: [{ name: "url" }] },
    { name: "check", env: [{ name: "URL", value: "{{ steps.deploy.outputs.url }}" }] },
    { name: "report" },
  ]);
  assert.deepEqual(shape(picture), [["test"]]);
  assert.deepEqual(shape(finish(picture, "test", { accuracy: "0.95" })), [["deploy", "check", "report"]]);
  const poor = finish(picture, "test", { accuracy: "0.5" });
  const [skip] = plan(poor, [any]).skipped;
  assert.equal(skip?.row.name, "deploy");
  const skipped = (of: Picture, name: string): Picture =>
    withRows(of, [{ ...rowOf(of, name), state: { status: "skipped", ended: "t" } }]);
  const after = skipped(poor, "deploy");
  assert.deepEqual(
    plan(after, [any]).skipped.map(({ row, reason }) => [row.name, reason]),
    [["check", { type: "input", step: "deploy" }]],
  );
  assert.deepEqual(shape(skipped(after, "check")), [["report"]]);
});

test("a matrix is expanded, its step runs go at once, and its outputs are a list", () => {
  let picture = pictureOf([
    {
      name: "train",
      matrix: { lr: [0.1, 0.2], depth: "{{ inputs.mode }},slow" },
      inputs: [{ name: "lr", value: "{{ matrix.lr }}" }],
      outputs: [{ name: "score" }],
    },
    { name: "pick", inputs: [{ name: "scores", value: "{{ steps.train.outputs.score }}" }] },
  ]);
  const [expansion] = plan(picture, [any]).expanded;
  assert.deepEqual(expansion?.combinations[1], { lr: "0.1", depth: "slow" });
  picture = withExpansion(picture, "train", initialRows("train", expansion?.combinations ?? []));
  assert.deepEqual(shape(picture), [["train.0", "train.1", "train.2", "train.3", "pick"]]);
  const [segment] = plan(picture, [any]).segments;
  assert.deepEqual(segment?.steps[4]?.needs, ["train"]);
  assert.deepEqual(segment?.steps[2]?.variables.at(-1), { name: "FUSEML_LR", value: ["0.2"] });
  for (const n of [2, 0, 3, 1]) picture = finish(picture, `train.${n}`, { score: `${n}` });
  const [last] = plan(picture, [any]).segments;
  assert.deepEqual(last?.steps[0]?.variables.at(-1)?.value, ['["0","1","2","3"]']);
});

test("an approval, a window, a retry and a step-by-step run are gates; the step behind them waits", () => {
  const steps = [{ name: "a" }, { name: "b", approval: { by: ["lead"], timeout: "1h" } }, { name: "c" }];
  const picture = pictureOf(steps);
  assert.deepEqual(shape(picture), [["a"]]);
  const asked = plan(finish(picture, "a"), [any]);
  assert.deepEqual(asked.segments, []);
  assert.deepEqual(asked.closed[0]?.gate, {
    type: "approval",
    since: picture.now,
    until: "2026-01-01T13:00:00.000Z",
    by: ["lead"],
  });
  assert.equal(asked.wakeAt, "2026-01-01T13:00:00.000Z");
  const ready = finish(picture, "a");
  const gate = asked.closed[0]?.gate;
  assert.ok(gate);
  const closed = withRows(ready, [{ ...rowOf(ready, "b"), state: { status: "waiting", gate } }]);
  assert.deepEqual(plan(closed, [any]).closed, [], "recorded once");
  assert.equal(
    plan({ ...closed, now: "2026-01-01T13:00:00.001Z" }, [any]).failed[0]?.error.code,
    "step.approval-expired",
  );
  const approved = withRows(closed, [{ ...rowOf(closed, "b"), passes: { approval: { by: "me", at: "t" } } }]);
  assert.deepEqual(shape(approved), [["b", "c"]]);

  const night = pictureOf([{ name: "a", window: { from: "22:00", to: "06:00", timezone: "Europe/Berlin" } }]);
  assert.equal(plan(night, [any]).wakeAt, "2026-01-01T21:00:00.000Z");
  assert.deepEqual(shape({ ...night, now: "2026-01-02T04:59:00.000Z" }), [["a"]]);

  const stepwise = pictureOf([{ name: "a" }, { name: "b" }], { stepwise: true });
  assert.equal(plan(stepwise, [any]).closed[0]?.gate.type, "pause");
  assert.deepEqual(shape(withRows(stepwise, [{ ...rowOf(stepwise, "a"), passes: { pause: true } }])), [["a"]]);
});

test("a step that can be reused is looked for first, as soon as its inputs are known", () => {
  const picture = pictureOf([
    { name: "a", outputs: [{ name: "o" }] },
    { name: "b", cache: true, inputs: [{ name: "x", value: "{{ steps.a.outputs.o }}" }] },
    { name: "c" },
  ]);
  assert.deepEqual(shape(picture), [["a"]]);
  const known = finish(picture, "a", { o: "1" });
  assert.deepEqual(
    plan(known, [any]).reusable.map(({ row }) => row.name),
    ["b"],
  );
  const missed = withRows(known, [{ ...rowOf(known, "b"), reuse: { key: "k", because: "first" } }]);
  assert.deepEqual(shape(missed), [["b", "c"]]);
});

test("any graph is run wholly, once, each step after what it needs", () => {
  const graphs = fc.array(fc.array(fc.nat({ max: 9 }), { maxLength: 3 }), { minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(graphs, fc.infiniteStream(fc.nat()), fc.boolean(), (needs, choices, listed) => {
      let picture = pictureOf(
        needs.map((of, index) => ({
          name: `s${index}`,
          after: [...new Set(of.filter((need) => need < index).map((need) => `s${need}`))],
        })),
        { order: listed ? "listed" : "dataflow" },
      );
      const over = new Set<string>();
      const ids = new Set<string>();
      for (let rounds = 0; over.size < needs.length; rounds += 1) {
        assert.ok(rounds < 500, "it goes on");
        for (const segment of plan(picture, [any]).segments) {
          assert.ok(!ids.has(segment.id));
          ids.add(segment.id);
          for (const step of segment.steps) {
            // an agent may break off anywhere: the rest is planned again
            if (choices.next().value % 4 === 0) break;
            for (const need of picture.graph.get(step.step)?.needs ?? []) assert.ok(over.has(need));
            assert.ok(!over.has(step.name));
            over.add(step.name);
            picture = finish(picture, step.name);
          }
          picture = { ...picture, segments: picture.segments + 1 };
        }
      }
      assert.equal(over.size, needs.length);
    }),
  );
});

test("a step is completed with outputs and the configuration of its extensions", () => {
  const picture = pictureOf([
    { name: "build", outputs: [{ name: "image" }] },
    {
      name: "train",
      image: "{{ steps.build.outputs.image }}",
      inputs: [{ name: "app-name", value: "{{ inputs.code.name }}-{{ inputs.mode }}" }],
      extensions: [{ name: "store", service_resource: "s3" }],
      env: [{ name: "URL", value: "{{ extensions.store.cfg.ENDPOINT }}/x" }],
    },
  ]);
  const train = plan(picture, [any]).segments[0]?.steps[1];
  assert.ok(train);
  const complete = completeStep(train, new Map([["build", { image: "img:1" }]]), {
    store: { ENDPOINT: "http://s3", KEY: "k" },
  });
  assert.deepEqual(complete, {
    image: "img:1",
    variables: {
      ENDPOINT: "http://s3",
      KEY: "k",
      FUSEML_MODE: "fast",
      FUSEML_INPUTS: "mode,app-name",
      FUSEML_APP_NAME: "c-fast",
      URL: "http://s3/x",
    },
  });
  assert.deepEqual(completeStep(train, new Map(), {}), { missing: "build.image" });
});
