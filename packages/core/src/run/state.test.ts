import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { countSteps, finalStatus, isEnded, onCancel, onStepEvent, type StepEvent, type StepState } from "./state.ts";

const at = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }).map((date) => date.toISOString());
const attempt = fc.integer({ min: 1, max: 3 });
const event: fc.Arbitrary<StepEvent> = fc.oneof(
  fc.record({ type: fc.constant("started" as const), step: fc.constant("s"), attempt, at }),
  fc.record({
    type: fc.constant("succeeded" as const),
    step: fc.constant("s"),
    attempt,
    at,
    outputs: fc.constant({ o: "1" }),
  }),
  fc.record({
    type: fc.constant("failed" as const),
    step: fc.constant("s"),
    attempt,
    at,
    error: fc.constant({ code: "step.failed", message: "no" }),
  }),
);
const play = (events: readonly StepEvent[]): StepState =>
  events.reduce<StepState>((state, next) => onStepEvent(state, next).state, { status: "waiting" });

test("events in any order, late or twice, never change a step that has ended", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 10 }), event, (before, next) => {
      const state = play(before);
      const { state: after, changed, ignored } = onStepEvent(state, next);
      if (isEnded(state)) assert.equal(after, state);
      assert.equal(changed, after !== state);
      assert.equal(ignored === undefined, changed);
      // the same event once more changes nothing
      assert.equal(onStepEvent(after, next).state, after);
    }),
  );
});

test("an older attempt does not overrule a newer one", () => {
  const running: StepState = { status: "running", attempt: 2, since: "t" };
  assert.equal(
    onStepEvent(running, { type: "failed", step: "s", attempt: 1, at: "t", error: { code: "c", message: "m" } }).state,
    running,
  );
});

test("cancelling ends what has not ended, and only that", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 6 }), (events) => {
      const state = play(events);
      const after = onCancel(state, "now");
      assert.ok(isEnded(after));
      if (isEnded(state)) assert.equal(after, state);
    }),
  );
});

test("a failed try with tries left makes the step wait; events of tries that are over change nothing", () => {
  const policy = { tried: 1, retryAt: (attempt: number) => (attempt < 3 ? "later" : undefined) };
  const running: StepState = { status: "running", attempt: 1, since: "t" };
  const failedOnce = { type: "failed", step: "s", attempt: 1, at: "t", error: { code: "c", message: "m" } } as const;
  const waiting = onStepEvent(running, failedOnce, policy).state;
  assert.deepEqual(waiting, {
    status: "waiting",
    gate: { type: "retry", opens: "later", attempt: 1, error: { code: "c", message: "m" } },
  });
  assert.equal(onStepEvent(waiting, failedOnce, policy).changed, false);
  assert.equal(onStepEvent(waiting, { type: "started", step: "s", attempt: 1, at: "t" }, policy).changed, false);
  assert.equal(onStepEvent(waiting, { ...failedOnce, attempt: 3 }, policy).state.status, "failed");
});

test("a run ends with the worst of its steps", () => {
  const of = (...statuses: StepState["status"][]) =>
    finalStatus(countSteps(statuses.map((status) => ({ status }) as StepState)));
  assert.equal(of("succeeded", "succeeded"), "succeeded");
  assert.equal(of("succeeded", "skipped"), "succeeded");
  assert.equal(of("succeeded", "failed", "waiting"), "failed");
  assert.equal(of("succeeded", "cancelled", "waiting"), "cancelled");
  assert.equal(of("succeeded", "waiting"), "failed");
});
