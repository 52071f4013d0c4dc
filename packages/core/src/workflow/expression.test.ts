import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatTemplate, parseTemplate, type Reference, substitute, type Template } from "./expression.ts";

const name = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,12}$/);
const plain = { noNullPrototype: true } as const;
const reference: fc.Arbitrary<Reference> = fc.oneof(
  fc.record({ input: name }, plain),
  fc.record({ input: name, property: fc.constantFrom("name", "project", "version") }, plain),
  fc.record({ step: name, output: name }, plain),
  fc.record({ extension: name, variable: name }, plain),
);
const text = fc.string({ minLength: 1, maxLength: 20 }).filter((value) => !/[{}]/.test(value));
/** Texts and references in turn, as the parser gives them: no two texts side by side. */
const template: fc.Arbitrary<Template> = fc.array(fc.oneof(text, reference), { maxLength: 8 }).map((parts) =>
  substitute<Reference>(
    parts.filter((part, index) => typeof part !== "string" || typeof parts[index - 1] !== "string"),
    () => undefined,
  ),
);

test("what is written out parses to what it was", () => {
  fc.assert(
    fc.property(template, (parts) => {
      const parsed = parseTemplate(formatTemplate(parts));
      assert.ok(parsed.ok);
      assert.deepEqual(parsed.template, parts);
    }),
  );
});

test("no text makes the parser throw, and a text without {{ is a template of itself", () => {
  fc.assert(
    fc.property(fc.string(), (value) => {
      const parsed = parseTemplate(value);
      if (value.includes("{{")) return;
      assert.deepEqual(parsed, { ok: true, template: value === "" ? [] : [value], references: [] });
    }),
  );
});

test("white space inside the braces does not matter", () => {
  const parsed = parseTemplate("a-{{inputs . x . name}}-{{  steps.s.outputs.o  }}");
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.template, ["a-", { input: "x", property: "name" }, "-", { step: "s", output: "o" }]);
});

test("a fault says what was found, what is right, and where", () => {
  const faults: [string, RegExp, number][] = [
    ["{{ inputs.x", /without "}}"/, 0],
    ["{{ }}", /empty/, 3],
    ["{{ input.x }}", /"input" is not known/, 3],
    ["{{ steps.a.output.b }}", /"outputs" is missing/, 11],
    ["{{ inputs.x.size }}", /"size" is not a property/, 12],
    ["{{ inputs.x + 1 }}", /unexpected "\+ 1"/, 12],
    ["{{ inputs }}", /expected "\."/, 10],
  ];
  for (const [value, message, offset] of faults) {
    const parsed = parseTemplate(value);
    assert.ok(!parsed.ok, value);
    assert.match(parsed.error.message, message);
    assert.equal(parsed.error.offset, offset, value);
    assert.notEqual(parsed.error.hint, "");
  }
});

test("substitution replaces what is known, leaves the rest, and joins texts", () => {
  const parsed = parseTemplate("x{{ inputs.a }}y{{ steps.s.outputs.o }}z");
  assert.ok(parsed.ok);
  assert.deepEqual(
    substitute<Reference>(parsed.template, (of) => ("input" in of ? "1" : undefined)),
    ["x1y", { step: "s", output: "o" }, "z"],
  );
});
