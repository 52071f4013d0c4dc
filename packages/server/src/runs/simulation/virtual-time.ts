import type { Timers } from "../../platform/timers.ts";

type Alarm = { readonly at: number; readonly order: number; readonly owner: string; readonly work: () => void };

/** Time that goes on when it is told to. */
export class VirtualTime {
  now = Date.parse("2026-01-01T00:00:00Z");
  private alarms: Alarm[] = [];
  private made = 0;

  readonly clock = (): number => this.now;

  /** Timers of one process: they die with it. */
  timersOf(owner: string): Timers {
    return {
      at: (at, work) => {
        this.made += 1;
        const alarm = { at: Math.max(at, this.now), order: this.made, owner, work };
        this.alarms.push(alarm);
        return () => {
          this.alarms = this.alarms.filter((other) => other !== alarm);
        };
      },
    };
  }

  forget(owner: string): void {
    this.alarms = this.alarms.filter((alarm) => alarm.owner !== owner);
  }

  /** Goes on, and rings what is due on the way. @param mayRing whether a process hears its alarms now */
  advance(byMs: number, mayRing: (owner: string) => boolean): void {
    const until = this.now + byMs;
    for (;;) {
      const due = this.alarms
        .filter((alarm) => alarm.at <= until && mayRing(alarm.owner))
        .sort((one, other) => one.at - other.at || one.order - other.order)[0];
      if (!due) break;
      this.alarms = this.alarms.filter((alarm) => alarm !== due);
      this.now = Math.max(this.now, due.at);
      due.work();
    }
    this.now = until;
  }
}
