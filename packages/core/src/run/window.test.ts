import assert from "node:assert/strict";
import { test } from "node:test";
import { opensAt } from "./window.ts";

const night = { from: "22:00", to: "06:00", timezone: "UTC" };

test("a window is open from its start up to its end, also over midnight", () => {
  assert.equal(opensAt(night, "2026-01-05T21:59:00.000Z"), "2026-01-05T22:00:00.000Z");
  for (const open of ["2026-01-05T22:00:00.000Z", "2026-01-06T00:00:00.000Z", "2026-01-06T05:59:59.000Z"])
    assert.equal(opensAt(night, open), undefined, open);
  assert.equal(opensAt(night, "2026-01-06T06:00:00.000Z"), "2026-01-06T22:00:00.000Z");
});

test("days are those on which it opens, in its own time zone", () => {
  const friday = { ...night, timezone: "Europe/Berlin", days: ["fri" as const] };
  // 2026-01-09 is a Friday
  assert.equal(opensAt(friday, "2026-01-05T12:00:00.000Z"), "2026-01-09T21:00:00.000Z");
  assert.equal(opensAt(friday, "2026-01-10T04:59:00.000Z"), undefined);
  assert.equal(opensAt(friday, "2026-01-10T05:00:00.000Z"), "2026-01-16T21:00:00.000Z");
});
