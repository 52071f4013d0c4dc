import { type Clock, instant } from "../platform/clock.ts";
import type { Hub } from "../platform/events/hub.ts";
import type { Unit } from "../state/store.ts";
import { runSubject } from "./subjects.ts";
import type { StepChange } from "./transitions.ts";

/** Everyone who waits for any event listens to this subject of the hub. */
export const allEvents = "events";

/** Writes the history of runs: each entry in the transaction of what it tells of. */
export class Journal {
  private readonly clock: Clock;
  private readonly hub: Hub;

  constructor(clock: Clock, hub: Hub) {
    this.clock = clock;
    this.hub = hub;
  }

  async write(unit: Unit, runId: string, type: string, data: Readonly<Record<string, unknown>>): Promise<void> {
    await unit.events.append({ subject: runSubject(runId), type, data, time: instant(this.clock) });
    unit.afterCommit(() => {
      this.hub.notify(runSubject(runId));
      this.hub.notify(allEvents);
    });
  }

  /** What goes with changes of steps: history, and tries that are over. */
  async writeChanges(unit: Unit, runId: string, changes: readonly StepChange[]): Promise<void> {
    for (const { entry, failedTry } of changes) {
      if (failedTry) await unit.runs.addAttempt(failedTry);
      await this.write(unit, runId, entry.type, entry.data);
    }
  }
}
