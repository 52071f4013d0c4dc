import { isRunEnded } from "@fuseml/core/run/state";
import type { Clock } from "../platform/clock.ts";
import type { Hub } from "../platform/events/hub.ts";
import type { Log } from "../platform/log.ts";
import type { Timers } from "../platform/timers.ts";
import type { Store } from "../state/store.ts";
import type { Engine } from "./engine.ts";

export type ReplicasParts = {
  readonly store: Store;
  readonly engine: Pick<Engine, "advance">;
  readonly hub: Hub;
  /** Of this process: it need not agree with the clocks of other machines. */
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  readonly self: { readonly id: string; readonly url: string; readonly host: string };
  readonly leaseMs: number;
};

/** So many beats fit into a lease: a lost one does no harm. */
const beatsInLease = 5;

type Seen = { beat: number; at: number; url: string };

/**
 * Servers that share one database, and which of them drives which run.
 *
 * Each counts up a beat. One whose beat has not changed for the lease is taken for dead by the others, each by its own
 * clock, and its runs are shared out. Should it live on, it finds that its runs are no longer its own before it can write
 * anything about them: every transaction on a run holds it as its owner.
 */
export class Replicas {
  private readonly parts: ReplicasParts;
  private readonly seen = new Map<string, Seen>();
  private callOff: (() => void) | undefined;
  private working: Promise<void> = Promise.resolve();
  private stopped = false;
  private lastEvent = 0;

  constructor(parts: ReplicasParts) {
    this.parts = parts;
  }

  async start(): Promise<void> {
    const { store, self } = this.parts;
    await store.read.replicas.save({ ...self, beat: 0 });
    this.arm();
    await this.beat();
  }

  /** Leaves the runs to the others. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.callOff?.();
    await this.working;
    const { store, self, log } = this.parts;
    try {
      for (const run of await store.read.runs.active({ owner: self.id })) {
        await store.read.runs.update(run.id, { owner: null });
      }
      await store.read.replicas.remove(self.id);
    } catch (error) {
      // without the database the others find out by the silence
      log.warn({ err: error }, "the others could not be told of the stop");
    }
  }

  /** Whether this one does what only one of all must do. */
  get leads(): boolean {
    const [first] = [this.parts.self.id, ...this.seen.keys()].sort();
    return first === this.parts.self.id;
  }

  get others(): number {
    return this.seen.size;
  }

  /** Where a living replica answers. */
  urlOf(id: string): string | undefined {
    return this.seen.get(id)?.url;
  }

  /** Does at once what is done at every beat. */
  beat(): Promise<void> {
    this.working = this.working.then(() =>
      this.work().catch((error: unknown) =>
        this.parts.log.error({ err: error }, "no beat: the database does not answer"),
      ),
    );
    return this.working;
  }

  private arm(): void {
    const { clock, timers, leaseMs } = this.parts;
    this.callOff = timers.at(clock() + leaseMs / beatsInLease, () => {
      if (this.stopped) return;
      this.arm();
      void this.beat();
    });
  }

  private async work(): Promise<void> {
    const { store, self, clock, leaseMs, log } = this.parts;
    if (!(await store.read.replicas.beat(self.id))) await store.read.replicas.save({ ...self, beat: 0 });
    const present = await store.read.replicas.list();
    const now = clock();
    for (const { id, beat, url } of present) {
      if (id === self.id) continue;
      const before = this.seen.get(id);
      if (!before || before.beat !== beat) this.seen.set(id, { beat, at: now, url });
      else if (now - before.at >= leaseMs) {
        log.warn({ replica: id }, "a replica is not heard of any more: its runs are shared out");
        await this.takeOver(id);
        await store.read.replicas.remove(id);
        this.seen.delete(id);
      }
    }
    const ids = new Set(present.map((of) => of.id));
    for (const id of this.seen.keys()) if (!ids.has(id)) this.seen.delete(id);
    await this.takeOver(null);
    await this.takeOrphans(ids);
    await this.look();
  }

  private async takeOver(from: string | null): Promise<void> {
    const { store, engine, self } = this.parts;
    for (const run of await store.read.runs.active({ owner: from })) {
      if (await store.read.runs.take(run.id, from, self.id)) engine.advance(run.id);
    }
  }

  /** Runs of replicas that nobody knows any more: another one died while it took them over. */
  private async takeOrphans(known: ReadonlySet<string>): Promise<void> {
    const { store, engine, self } = this.parts;
    for (const run of await store.read.runs.active()) {
      const { owner } = run;
      if (owner === null || owner === self.id || known.has(owner) || isRunEnded(run.status)) continue;
      if (await store.read.runs.take(run.id, owner, self.id)) engine.advance(run.id);
    }
  }

  /** What other replicas wrote for this one: runs that are to end or whose turn has come, and news for those who wait. */
  private async look(): Promise<void> {
    const { store, engine, self, hub } = this.parts;
    for (const run of await store.read.runs.active({ owner: self.id })) {
      if (run.cancelRequested !== null || run.queued) engine.advance(run.id);
    }
    const last = await store.read.events.last();
    if (last !== this.lastEvent) hub.notifyAll();
    this.lastEvent = last;
  }
}
