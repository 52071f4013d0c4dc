import { monotonicFactory } from "ulid";
import type { Clock } from "./clock.ts";

/** Makes ids that sort by time and say what they are: `run_01j…`. */
export type IdSource = (prefix: string) => string;

/** @param random numbers in [0, 1); a seeded source makes the ids repeatable */
export function ids(clock: Clock, random?: () => number): IdSource {
  const next = monotonicFactory(random);
  return (prefix) => `${prefix}_${next(clock()).toLowerCase()}`;
}
