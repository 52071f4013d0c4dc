import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type ArtifactAddress,
  artifactKinds,
  formatAddress,
  formatShort,
  parseAddress,
  parseReference,
} from "./address.ts";
import { accepts, exactly, formatPattern, parsePattern } from "./pattern.ts";

const name = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,12}$/);
const address: fc.Arbitrary<ArtifactAddress> = fc.record(
  {
    kind: fc.constantFrom(...artifactKinds),
    project: name,
    name,
    version: fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/),
  },
  { noNullPrototype: true },
);

test("an address that is written out reads as itself, with / and with @", () => {
  fc.assert(
    fc.property(address, (of) => {
      assert.deepEqual(parseAddress(formatAddress(of)), of);
      assert.deepEqual(parseReference(`${of.kind}://${of.project}/${of.name}@${of.version}`), of);
    }),
  );
});

test("an address is accepted by its own pattern, its project's and everybody's, and by no other kind's", () => {
  fc.assert(
    fc.property(address, fc.constantFrom(...artifactKinds), (of, kind) => {
      const patterns = [`${of.kind}://${of.project}/${of.name}`, `${of.kind}://${of.project}/*`, `${of.kind}://*`];
      for (const text of patterns) {
        const pattern = parsePattern(text);
        assert.ok(accepts(pattern, of));
        assert.equal(formatPattern(pattern), text);
        assert.equal(accepts(pattern, { ...of, kind }), kind === of.kind);
      }
      assert.deepEqual(exactly(parsePattern(patterns[0] ?? "")), { project: of.project, name: of.name });
      assert.equal(exactly(parsePattern(patterns[1] ?? "")), undefined);
    }),
  );
});

test("what is no address is refused with a reason", () => {
  for (const text of [
    "",
    "code://",
    "code://p",
    "git://p/c/1",
    "code://p/c/../x",
    "code://p p/c/1",
    "code://p/c/-rf",
  ]) {
    assert.throws(() => parseAddress(text), { code: "address.invalid" }, text);
  }
  for (const text of ["code://p", "code://*/c", "nothing", "code://p/c/1"]) {
    assert.throws(() => parsePattern(text), { code: "address.invalid" }, text);
  }
});

test("a commit is shown short", () => {
  assert.equal(
    formatShort({ kind: "code", project: "p", name: "c", version: "0123456789abcdef" }),
    "code://p/c/0123456",
  );
});
