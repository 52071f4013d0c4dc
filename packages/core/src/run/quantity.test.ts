import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseQuantity } from "./quantity.ts";

test("amounts as Kubernetes writes them", () => {
  const amounts = {
    "500m": 0.5,
    "2": 2,
    "1.5": 1.5,
    "1Gi": 2 ** 30,
    "64Mi": 2 ** 26,
    "2G": 2e9,
    "1e3": 1000,
    "10k": 1e4,
  };
  for (const [text, amount] of Object.entries(amounts)) assert.equal(parseQuantity(text), amount, text);
  for (const text of ["", "m", "1 GB", "1gb", "-1", "1.2.3", "NaN"]) assert.equal(parseQuantity(text), undefined, text);
});

test("a suffix multiplies", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4096 }), (n) => {
      assert.equal(parseQuantity(`${n}Ki`), n * 1024);
      assert.equal(parseQuantity(`${n}M`), n * 1e6);
    }),
  );
});
