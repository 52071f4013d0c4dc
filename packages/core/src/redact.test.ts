import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { redactor } from "./redact.ts";

const secret = fc
  .string({ minLength: 6, maxLength: 40, unit: "grapheme-ascii" })
  .filter((text) => text.trim().length >= 6);

test("a secret is masked as it is, JSON-escaped, URL-encoded and in base64", () => {
  fc.assert(
    fc.property(secret, (value) => {
      const mask = redactor([value]);
      const forms = [
        value,
        JSON.stringify(value).slice(1, -1),
        encodeURIComponent(value),
        Buffer.from(value).toString("base64"),
        Buffer.from(value).toString("base64url"),
      ];
      for (const form of forms) assert.equal(mask(`[${form}]`), "[***]", form);
    }),
  );
});

test("what is no secret stays, and short values are left alone", () => {
  assert.equal(redactor(["s3cr3t", "abc"])("abc and s3cr3t and more"), "abc and *** and more");
  assert.equal(redactor([])("text"), "text");
});

test("each line of a secret of several lines is masked by itself", () => {
  assert.equal(redactor(["-----BEGIN-----\nabcdefgh12345678"])("key abcdefgh12345678"), "key ***");
});
