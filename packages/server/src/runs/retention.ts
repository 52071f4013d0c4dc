import { type Clock, instant } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Timers } from "../platform/timers.ts";
import type { Store } from "../state/store.ts";
import type { StoredRun } from "./records.ts";
import { runSubject } from "./subjects.ts";
import type { WorkloadAgent } from "./workload-agent.ts";

/** Which ended runs are to go. */
export type PrunePolicy = {
  /** Milliseconds since their end. */
  readonly olderThanMs: number;
  /** Of each workflow so many of the newest stay, however old. */
  readonly keep: number;
  readonly workflow?: string | undefined;
  /** Only says what would go. */
  readonly dryRun: boolean;
};

const dayMs = 86_400_000;
const batchSize = 200;

/** Removes runs that ended long ago, with their steps, events and logs. What a living application came from stays. */
export class Retention {
  private readonly parts: {
    store: Store;
    agents: readonly WorkloadAgent[];
    clock: Clock;
    timers: Timers;
    log: Log;
    /** Removes by itself what ended so many days ago; absent: nothing. */
    keepDays: number | undefined;
  };
  private callOff: (() => void) | undefined;

  constructor(parts: Retention["parts"]) {
    this.parts = parts;
  }

  /** Looks now and once a day. */
  start(): void {
    const { keepDays, clock, timers, log } = this.parts;
    if (keepDays === undefined) return;
    this.callOff = timers.at(clock() + dayMs, () => this.start());
    this.prune({ olderThanMs: keepDays * dayMs, keep: 0, dryRun: false }).then(
      (gone) => log.info({ runs: gone.length }, "runs that ended long ago were removed"),
      (error: unknown) => log.error({ err: error }, "old runs could not be removed"),
    );
  }

  stop(): void {
    this.callOff?.();
  }

  /** @returns the runs that went, or would go, oldest first */
  async prune({ olderThanMs, keep, workflow, dryRun }: PrunePolicy): Promise<readonly StoredRun[]> {
    const { store, clock } = this.parts;
    const before = instant(() => clock() - olderThanMs);
    const kept = new Map<string, ReadonlySet<string>>();
    const gone: StoredRun[] = [];
    for (let after = ""; ; ) {
      const batch = await store.read.runs.endedBefore(before, batchSize, after);
      if (batch.length === 0) return gone;
      after = batch.at(-1)?.id ?? "";
      for (const run of batch) {
        if (workflow !== undefined && run.workflow !== workflow) continue;
        if (keep > 0 && !kept.has(run.workflow)) {
          const newest = await store.read.runs.list({ workflow: run.workflow, limit: keep });
          kept.set(run.workflow, new Set(newest.map((of) => of.id)));
        }
        if (kept.get(run.workflow)?.has(run.id)) continue;
        gone.push(run);
        if (!dryRun) await this.remove(run);
      }
    }
  }

  private async remove(run: StoredRun): Promise<void> {
    const { store, agents } = this.parts;
    const segments = await store.read.runs.segments(run.id, true);
    // logs first: a crash in between leaves a run without logs, and not logs without a run
    for (const { segment } of segments) {
      await agents.find((agent) => agent.name === segment.agent)?.forget(segment.id);
    }
    await store.transaction(async (unit) => {
      await unit.events.removeOf(runSubject(run.id));
      await unit.runs.remove(run.id);
    });
  }
}
