import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { workflowDefinition } from "../workflow/definition.ts";
import { canonicalParts, differingParts, isReusable, reuseParts } from "./reuse.ts";
import { specify } from "./spec.ts";

const stepOf = (of: object) => {
  const [step] = workflowDefinition.parse({ name: "w", steps: [{ name: "s", image: "x", ...of }] }).steps;
  assert.ok(step);
  return step;
};

test("builders are reused unless they say no, other steps only when they say so", () => {
  assert.equal(isReusable(stepOf({})), false);
  assert.equal(isReusable(stepOf({ cache: true })), true);
  assert.equal(isReusable(stepOf({ image: "ghcr.io/fuseml/mlflow-builder:v0.3" })), true);
  assert.equal(isReusable(stepOf({ image: "ghcr.io/fuseml/mlflow-builder:v0.3", cache: false })), false);
  assert.equal(isReusable(stepOf({ outputs: [{ name: "image", image: { name: "i" } }] })), true);
  assert.equal(isReusable(stepOf({ image: undefined, approval: {}, cache: true })), false);
});

test("a key has the code's tree, not the commit; an extension by its records, never by its secrets", () => {
  const step = stepOf({
    inputs: [
      { name: "code", codeset: { name: "{{ inputs.code }}", path: "/project" } },
      { name: "lr", value: "{{ inputs.lr }}" },
    ],
    extensions: [{ name: "store" }],
    env: [{ name: "KEY", value: "{{ extensions.store.cfg.SECRET }}" }],
  });
  const code = { kind: "code" as const, project: "p", name: "c", version: "abc" };
  const spec = specify(step, { codesets: { code }, models: {}, values: { lr: "1" } }, { name: "s", attempt: 1 });
  const parts = reuseParts(spec, {
    imageDigest: "sha256:1",
    codeTrees: { "/project": "tree" },
    extensions: { store: "minio s3 http://s3 default" },
  });
  assert.equal(parts["code at /project"], "tree");
  assert.equal(parts["variable KEY"], "{{ extensions.store.cfg.SECRET }}");
  assert.equal(parts["extension store"], "minio s3 http://s3 default");
  assert.deepEqual(differingParts(parts, { ...parts, image: "sha256:2", "variable NEW": "x" }), [
    "image",
    "variable NEW",
  ]);
});

test("the same parts in any order are one key; other parts are another", () => {
  const parts = fc.dictionary(fc.string(), fc.string());
  fc.assert(
    fc.property(parts, parts, (one, other) => {
      const turned = Object.fromEntries(Object.entries(one).reverse());
      assert.equal(canonicalParts(turned), canonicalParts(one));
      assert.equal(differingParts(one, other).length === 0, canonicalParts(one) === canonicalParts(other));
    }),
  );
});
