import { Cron } from "croner";
import type { Schedule } from "../workflow/definition.ts";

/** Of the moments that were missed, at most so many are made up for. */
export const missedLimit = 100;

/** Why a schedule cannot be kept, or nothing when it can. */
export function whyInvalid({ cron, timezone }: Pick<Schedule, "cron" | "timezone">): string | undefined {
  try {
    return new Cron(cron, { timezone, mode: "5-or-6-parts" }).nextRun() ? undefined : "it has no next moment";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The first moment of a schedule after an instant, or nothing when there is none. */
export function nextMoment({ cron, timezone }: Schedule, after: string): string | undefined {
  return new Cron(cron, { timezone, mode: "5-or-6-parts" }).nextRun(new Date(after))?.toISOString();
}

/**
 * What a schedule asks for at `now`, when its next moment was to be `due`.
 * @returns the moments for which runs start, oldest first, and the moment to wait for then
 * A moment counts as missed when the one after it has passed, too, or `graceMs` have.
 */
export function dueMoments(
  schedule: Schedule,
  due: string,
  now: string,
  graceMs: number,
): { readonly moments: readonly string[]; readonly next: string | undefined } {
  const passed: string[] = [];
  let moment: string | undefined = due;
  while (moment !== undefined && moment <= now) {
    passed.push(moment);
    if (passed.length > missedLimit) passed.shift();
    moment = nextMoment(schedule, moment);
    if (passed.length === missedLimit && moment !== undefined && moment <= now) {
      // far behind: go on from here instead of counting every second of a year
      const later = nextMoment(schedule, new Date(Date.parse(now) - graceMs).toISOString());
      if (later !== undefined && later > moment) moment = later;
    }
  }
  const isLate = (at: string): boolean => Date.parse(now) - Date.parse(at) > graceMs;
  const punctual = passed.filter((at) => !isLate(at));
  const late = passed.filter(isLate);
  switch (schedule.missed) {
    case "all":
      return { moments: passed, next: moment };
    case "once":
      return { moments: punctual.length > 0 ? punctual : late.slice(-1), next: moment };
    case "skip":
      return { moments: punctual, next: moment };
  }
}
