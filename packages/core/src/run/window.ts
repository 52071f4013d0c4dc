import { Cron } from "croner";
import { type WorkflowStep, weekdays } from "../workflow/definition.ts";

type Window = NonNullable<WorkflowStep["window"]>;

const minutes = (time: string): number => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));

/** Day of the week (0 is Monday) and minute of the day in a time zone. */
function localTime(at: Date, timezone: string): { day: number; minute: number } {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone: timezone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).formatToParts(at);
  const part = (type: string): string => parts.find((candidate) => candidate.type === type)?.value ?? "";
  const day = (weekdays as readonly string[]).indexOf(part("weekday").toLowerCase());
  return { day, minute: Number(part("hour")) * 60 + Number(part("minute")) };
}

/**
 * When a window lets a step start: nothing when it is open now, else the instant of its next opening.
 * A window with `to` before `from` is open over midnight and belongs to the day on which it opens.
 */
export function opensAt(window: Window, now: string): string | undefined {
  const at = new Date(now);
  const { day, minute } = localTime(at, window.timezone);
  const [from, to] = [minutes(window.from), minutes(window.to)];
  const on = (of: number): boolean => !window.days || window.days.includes(weekdays[(of + 7) % 7] ?? "mon");
  const open =
    from < to
      ? minute >= from && minute < to && on(day)
      : (minute >= from && on(day)) || (minute < to && on(day - 1)) || from === to;
  if (open) return undefined;
  const days = window.days?.map((name) => name.toUpperCase()).join(",") ?? "*";
  const next = new Cron(`${from % 60} ${Math.floor(from / 60)} * * ${days}`, { timezone: window.timezone }).nextRun(at);
  if (!next) throw new Error(`the window from ${window.from} to ${window.to} never opens`);
  return next.toISOString();
}

export function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: name });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
