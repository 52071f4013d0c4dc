import assert from "node:assert/strict";
import { test } from "node:test";
import type { WorkflowDefinition } from "../workflow/definition.ts";
import { completeStep, type PlannableAgent, plan } from "./plan.ts";
import { pinSteps } from "./spec.ts";
import type { StepState } from "./state.ts";

const definition: WorkflowDefinition = {
  name: "w",
  inputs: [
    { name: "code", type: "codeset" },
    { name: "mode", type: "string" },
  ],
  steps: [
    {
      name: "build",
      image: "builder",
      inputs: [{ name: "code", codeset: { name: "{{ inputs.code }}", path: "/project" } }],
      outputs: [{ name: "image" }],
    },
    {
      name: "train",
      image: "{{ steps.build.outputs.image }}",
      inputs: [{ name: "app-name", value: "{{ inputs.code.name }}-{{ inputs.mode }}" }],
      extensions: [{ name: "store", service_resource: "s3" }],
      env: [{ name: "URL", value: "{{ extensions.store.cfg.ENDPOINT }}/x" }],
    },
  ],
};
const pins = {
  codesets: { code: { kind: "code" as const, project: "p", name: "c", version: "1" } },
  models: {},
  values: { mode: "fast" },
};
const steps = pinSteps(definition, pins);
const any: PlannableAgent = { name: "host", accepts: () => ({ accepted: true }) };
const waiting = new Map<string, StepState>([
  ["build", { status: "waiting" }],
  ["train", { status: "waiting" }],
]);
const built = new Map<string, StepState>([
  ["build", { status: "succeeded", attempt: 1, since: "t", ended: "t", outputs: { image: "img:1" } }],
  ["train", { status: "waiting" }],
]);

test("inputs are filled in: the steps see values, and the workflow's scalars under their own names", () => {
  const train = steps[1];
  assert.deepEqual(
    train?.variables.map(({ name, value }) => [name, value]),
    [
      ["FUSEML_MODE", ["fast"]],
      ["FUSEML_INPUTS", ["mode,app-name"]],
      ["FUSEML_APP_NAME", ["c-fast"]],
      ["URL", [{ extension: "store", variable: "ENDPOINT" }, "/x"]],
    ],
  );
  assert.deepEqual(steps[0]?.codesets, [{ input: "code", address: pins.codesets.code, path: "/project" }]);
});

test("a plain workflow is one segment; the same input gives the same plan", () => {
  const first = plan({ runId: "run_1", steps, states: waiting, agents: [any] });
  assert.ok(first.ok);
  assert.deepEqual(
    first.segments.map((segment) => [segment.id, segment.agent, segment.steps.length]),
    [["run_1.build", "host", 2]],
  );
  assert.deepEqual(plan({ runId: "run_1", steps, states: waiting, agents: [any] }), first);
  assert.deepEqual(first.segments[0]?.steps[1]?.image, [{ step: "build", output: "image" }]);
});

test("finished steps are left out and what they gave is filled in: resuming is planning", () => {
  const resumed = plan({ runId: "run_1", steps, states: built, agents: [any] });
  assert.ok(resumed.ok);
  assert.deepEqual(
    resumed.segments.map((segment) => segment.steps.map((step) => step.name)),
    [["train"]],
  );
  assert.deepEqual(resumed.segments[0]?.steps[0]?.image, ["img:1"]);
});

test("a boundary falls where the agent changes", () => {
  const only = (name: string, step: string): PlannableAgent => ({
    name,
    accepts: (of) => (of.name === step ? { accepted: true } : { accepted: false, reason: new Error("not mine") }),
  });
  const found = plan({ runId: "r", steps, states: waiting, agents: [only("a", "build"), only("b", "train")] });
  assert.ok(found.ok);
  assert.deepEqual(
    found.segments.map((segment) => segment.agent),
    ["a", "b"],
  );
});

test("a step that no agent takes is named, with the reason", () => {
  const refusing: PlannableAgent = {
    name: "host",
    accepts: () => ({ accepted: false, reason: new Error("no recipe") }),
  };
  const found = plan({ runId: "r", steps, states: waiting, agents: [refusing] });
  assert.ok(!found.ok);
  assert.equal(found.step, "build");
  assert.match(found.reason.message, /no recipe/);
});

test("a step is completed with outputs and the configuration of its extensions", () => {
  const train = steps[1];
  assert.ok(train);
  const outputs = new Map([["build", { image: "img:1" }]]);
  const complete = completeStep(train, outputs, { store: { ENDPOINT: "http://s3", KEY: "k" } });
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
