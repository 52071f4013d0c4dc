import type { Clock } from "./clock.ts";

/** Does something at a moment of the clock. A parameter, so that tests and simulations decide how time goes by. */
export interface Timers {
  /** @param at milliseconds since 1970; a moment that has passed is now @returns what calls it off */
  at(at: number, work: () => void): () => void;
}

/** A clock may be set, and a machine may sleep: the moment is looked at again so often. */
const lookAgainMs = 30_000;

export const systemTimers = (clock: Clock): Timers => ({
  at(at, work) {
    let timer: NodeJS.Timeout;
    const arm = () => {
      timer = setTimeout(() => (clock() >= at ? work() : arm()), Math.max(0, Math.min(at - clock(), lookAgainMs)));
      timer.unref();
    };
    arm();
    return () => clearTimeout(timer);
  },
});
