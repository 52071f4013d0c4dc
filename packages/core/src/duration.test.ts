import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDuration } from "./duration.ts";

test("durations are written as people write them", () => {
  const cases: readonly [string, number | undefined][] = [
    ["90s", 90_000],
    ["1h30m", 5_400_000],
    ["250ms", 250],
    ["1.5s", 1500],
    ["2d", 172_800_000],
    ["30", 30_000],
    ["", undefined],
    ["soon", undefined],
    ["5 minutes", undefined],
    ["-5s", undefined],
  ];
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
});
