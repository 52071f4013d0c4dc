import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { dueMoments, nextMoment, whyInvalid } from "./schedule.ts";

const daily = (missed: "skip" | "once" | "all", timezone = "UTC") => ({ cron: "0 3 * * *", timezone, missed });

test("a moment is found in the schedule's own time zone, also when clocks are put forward", () => {
  assert.equal(nextMoment(daily("once"), "2026-01-01T03:00:00.000Z"), "2026-01-02T03:00:00.000Z");
  assert.equal(nextMoment(daily("once", "Europe/Berlin"), "2026-01-01T03:00:00.000Z"), "2026-01-02T02:00:00.000Z");
  assert.equal(nextMoment(daily("once", "Europe/Berlin"), "2026-03-28T12:00:00.000Z"), "2026-03-29T01:00:00.000Z");
});

test("a schedule that cannot be kept says why", () => {
  assert.match(whyInvalid({ cron: "every day", timezone: "UTC" }) ?? "", /./);
  assert.match(whyInvalid({ cron: "0 3 * * *", timezone: "Mars/Olympus" }) ?? "", /./);
  assert.match(whyInvalid({ cron: "0 0 30 2 *", timezone: "UTC" }) ?? "", /no next moment/);
  assert.equal(whyInvalid({ cron: "*/10 * * * * *", timezone: "UTC" }), undefined);
});

test("a punctual moment starts a run whatever the policy; missed ones are skipped, made up for once, or all", () => {
  const due = "2026-01-01T03:00:00.000Z";
  for (const missed of ["skip", "once", "all"] as const) {
    const { moments, next } = dueMoments(daily(missed), due, "2026-01-01T03:00:01.000Z", 60_000);
    assert.deepEqual(moments, [due]);
    assert.equal(next, "2026-01-02T03:00:00.000Z");
    assert.deepEqual(dueMoments(daily(missed), due, "2026-01-01T02:59:59.000Z", 60_000).moments, []);
  }
  const after3 = (missed: "skip" | "once" | "all") =>
    dueMoments(daily(missed), due, "2026-01-04T12:00:00.000Z", 60_000);
  assert.deepEqual(after3("skip").moments, []);
  assert.deepEqual(after3("once").moments, ["2026-01-04T03:00:00.000Z"]);
  assert.equal(after3("all").moments.length, 4);
  assert.equal(after3("skip").next, "2026-01-05T03:00:00.000Z");
});

test("however far the clock jumps: at most a hundred moments, each once, and the next one is ahead", () => {
  const policies = fc.constantFrom("skip" as const, "once" as const, "all" as const);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 400 * 86_400 }), policies, (seconds, missed) => {
      const due = "2026-01-01T00:00:00.000Z";
      const now = new Date(Date.parse(due) + seconds * 1000).toISOString();
      const schedule = { cron: "*/5 * * * *", timezone: "UTC", missed };
      const { moments, next } = dueMoments(schedule, due, now, 60_000);
      assert.ok(moments.length <= 100);
      assert.equal(new Set(moments).size, moments.length);
      assert.ok(moments.every((moment) => moment <= now));
      assert.ok(next !== undefined && next > now, `${next} is behind ${now}`);
    }),
    { numRuns: 60 },
  );
});
