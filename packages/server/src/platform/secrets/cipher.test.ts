import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { cipher } from "./cipher.ts";

test("what is sealed opens to what it was, never shows it, and is never sealed the same twice", () => {
  const { seal, open } = cipher(randomBytes(32));
  fc.assert(
    fc.property(fc.string({ minLength: 4 }), (text) => {
      const sealed = seal(text);
      assert.equal(open(sealed), text);
      assert.ok(!sealed.includes(text));
      assert.notEqual(seal(text), sealed);
    }),
  );
});

test("a changed or foreign value does not open", () => {
  const { seal, open } = cipher(randomBytes(32));
  const sealed = seal("text");
  const bytes = Buffer.from(sealed.slice(3), "base64");
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  assert.throws(() => open(`v1.${bytes.toString("base64")}`));
  assert.throws(() => cipher(randomBytes(32)).open(sealed));
  assert.throws(() => open("plain"));
  assert.throws(() => cipher(randomBytes(16)), { code: "server.configuration" });
});
