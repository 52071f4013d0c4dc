import { dueMoments } from "@fuseml/core/assignment/schedule";
import { type Clock, instant } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Timers } from "../platform/timers.ts";
import type { Store } from "../state/store.ts";
import type { StoredAssignment } from "../workflows/assignment-repository.ts";
import type { Launcher } from "./launcher.ts";

/** A moment that is not older than this is not missed: the server was only a little late. */
const graceMs = 60_000;
const tryAgainAfterMs = 5000;

/** Starts the runs of assignments that go by the clock. Any number of replicas may do it: a moment starts one run. */
export class Scheduler {
  private readonly parts: { store: Store; launcher: Launcher; clock: Clock; timers: Timers; log: Log };
  private callOff: (() => void) | undefined;
  private stopped = false;
  private working: Promise<void> = Promise.resolve();

  constructor(parts: Scheduler["parts"]) {
    this.parts = parts;
  }

  /** Looks what is due, and waits for the next moment. To be called again when a schedule is new. */
  refresh(): void {
    if (this.stopped) return;
    this.working = this.working.then(() => this.work());
  }

  /** Resolves when nothing is under way. */
  idle(): Promise<void> {
    return this.working;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.callOff?.();
    await this.working;
  }

  private async work(): Promise<void> {
    const { store, clock, timers, log } = this.parts;
    try {
      for (const assignment of await store.read.assignments.due(instant(clock))) await this.start(assignment);
      const next = await store.read.assignments.nextMoment();
      this.callOff?.();
      this.callOff = next === undefined || this.stopped ? undefined : timers.at(Date.parse(next), () => this.refresh());
    } catch (error) {
      log.error({ err: error }, "schedules could not be looked at");
      this.callOff?.();
      if (!this.stopped) this.callOff = timers.at(clock() + tryAgainAfterMs, () => this.refresh());
    }
  }

  private async start({ id }: StoredAssignment): Promise<void> {
    const { store, launcher, clock, log } = this.parts;
    await store.transaction(async (unit) => {
      const assignment = await unit.assignments.get(id);
      if (!assignment?.schedule || assignment.nextMoment === null) return;
      const { moments, next } = dueMoments(assignment.schedule, assignment.nextMoment, instant(clock), graceMs);
      for (const moment of moments) {
        const run = await launcher.onMoment(unit, assignment, moment);
        if (run) log.info({ run: run.id, assignment: id, moment }, "a run was started by its schedule");
      }
      await unit.assignments.update(id, { nextMoment: next ?? null });
    });
  }
}
