import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { holds, parseCondition } from "./condition.ts";
import { formatReference } from "./expression.ts";

const values: Readonly<Record<string, string>> = {
  "steps.e.outputs.accuracy": "0.93",
  "inputs.mode": "fast",
  "inputs.empty": "",
  "matrix.depth": "10",
};
function evaluate(text: string): boolean {
  const parsed = parseCondition(text);
  assert.ok(parsed.ok, `${text}: ${parsed.ok ? "" : parsed.message}`);
  return holds(parsed.condition, (reference) => values[formatReference(reference)] ?? "");
}

test("conditions mean what they say", () => {
  const cases: readonly [string, boolean][] = [
    ["steps.e.outputs.accuracy >= 0.9", true],
    ["{{ steps.e.outputs.accuracy }} > 0.95", false],
    ["{{ steps.e.outputs.accuracy > 0.9 and inputs.mode == 'fast' }}", true],
    ["matrix.depth < 9", false],
    ["inputs.mode in ['slow', \"fast\"]", true],
    ["not (inputs.mode == 'fast' || false)", false],
    ["!inputs.empty && inputs.mode", true],
    ["inputs.mode != 'fast' or steps.e.outputs.accuracy == 0.930", true],
    ["true", true],
    ["0", false],
    ["inputs.mode == 'fast' and inputs.empty or true", true],
  ];
  for (const [text, expected] of cases) assert.equal(evaluate(text), expected, text);
});

test("faults are named", () => {
  const faults: readonly [string, RegExp][] = [
    ["", /ends too early/],
    ["inputs.mode ==", /ends too early/],
    ["inputs.mode = 'x'", /not understood/],
    ["mode == 'x'", /"mode" is not known/],
    ["(inputs.mode", /"\)" is missing at the end/],
    ["inputs.mode 'x'", /unexpected "'x'"/],
    ["inputs.mode in 'x'", /"\[" is missing/],
  ];
  for (const [text, message] of faults) {
    const parsed = parseCondition(text);
    assert.ok(!parsed.ok, text);
    assert.match(parsed.message, message);
  }
});

test("no text makes the parser throw", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseCondition(text);
    }),
  );
});
