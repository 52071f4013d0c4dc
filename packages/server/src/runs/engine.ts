import { setImmediate as breath } from "node:timers/promises";
import { failure } from "@fuseml/core/errors";
import { hasFailed } from "@fuseml/core/run/picture";
import { isEnded, isRunEnded, type RunError, type StepEvent } from "@fuseml/core/run/state";
import type { ExtensionResolver } from "../extensions/service.ts";
import { type Clock, instant } from "../platform/clock.ts";
import type { Hub } from "../platform/events/hub.ts";
import { asDiskFull } from "../platform/files/atomic.ts";
import type { Log } from "../platform/log.ts";
import type { Timers } from "../platform/timers.ts";
import type { Store, Unit } from "../state/store.ts";
import { RunDefinitions } from "./definitions.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Ending } from "./ending.ts";
import { Journal } from "./journal.ts";
import type { StoredRun } from "./records.ts";
import { type Loads, Reports } from "./reports.ts";
import type { Reuse } from "./reuse.ts";
import { Sheet } from "./sheet.ts";
import { afterEvent } from "./transitions.ts";
import { Turns } from "./turns.ts";
import type { WorkloadAgent } from "./workload-agent.ts";

export type EngineParts = {
  readonly store: Store;
  readonly agents: readonly WorkloadAgent[];
  readonly extensions: ExtensionResolver;
  readonly reuse: Reuse;
  readonly hub: Hub;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  /** The replica that this engine is of: no other drives its runs. */
  readonly replica: string;
  /** The token that the steps of a run call the server with. Known to the server from now until the run ends. */
  readonly issueToken: (runId: string) => Promise<string>;
  readonly serverUrl: string;
};

const tryAgainAfterMs = 1000;
const takenUpAtOnce = 20;

/** The run is another replica's: what was to be written is not. */
class NotOurs extends Error {}

/**
 * Makes runs go on. It is a function of the database: kill it anywhere, start it again, and it continues.
 * Its one verb is *advance*; every event, every moment that comes and everything that a person asks for ends in it.
 */
export class Engine {
  readonly journal: Journal;
  readonly definitions = new RunDefinitions();
  private readonly parts: EngineParts;
  private readonly turns = new Turns();
  private readonly dispatcher: Dispatcher;
  private readonly ending: Ending;
  private readonly alarms = new Map<string, () => void>();
  private readonly observing = new Set<string>();
  private readonly loads: Loads = new Map();
  private readonly reports: Reports;
  private stopping = false;

  constructor(parts: EngineParts) {
    this.parts = parts;
    this.journal = new Journal(parts.clock, parts.hub);
    this.dispatcher = new Dispatcher({ ...parts, journal: this.journal });
    const { clock } = parts;
    const { journal, definitions, dispatcher, loads } = this;
    this.ending = new Ending({ clock, journal, definitions });
    const onRun = this.onRun.bind(this);
    this.reports = new Reports({ clock, journal, definitions, dispatcher, loads, ending: this.ending, onRun });
  }

  get replica(): string {
    return this.parts.replica;
  }

  get agents(): readonly WorkloadAgent[] {
    return this.parts.agents;
  }

  /** Takes up every run of this replica that has not ended. */
  async start(): Promise<void> {
    const runs = await this.parts.store.read.runs.active({ owner: this.replica });
    for (const [index, { id }] of runs.entries()) {
      this.advance(id);
      // requests are answered in between
      if (index % takenUpAtOnce === takenUpAtOnce - 1) await breath();
    }
  }

  async stop(): Promise<void> {
    this.stopping = true;
    for (const callOff of this.alarms.values()) callOff();
    this.alarms.clear();
    await Promise.all(this.parts.agents.map((agent) => agent.shutdown()));
    await this.turns.idle();
  }

  /** Resolves when nothing that was asked for is under way. */
  idle(): Promise<void> {
    return this.turns.idle();
  }

  /** Does what can be done for a run now. Called again while it works, it works once more. */
  advance(runId: string): void {
    if (this.stopping) return;
    void this.turns.take(runId, () => this.work(runId).catch((error: unknown) => this.stumble(runId, error)));
  }

  /** Does something to a run while nothing else happens to it; then it goes on. @throws what the work throws, `run.elsewhere` */
  async exclusively<T>(runId: string, work: () => Promise<T>): Promise<T> {
    try {
      return await this.turns.take(runId, async () => {
        await this.makeOurs(runId);
        return work();
      });
    } finally {
      this.advance(runId);
    }
  }

  /** A run that has ended, or that nobody drives, is anybody's. @throws `run.not-found`, `run.elsewhere` */
  private async makeOurs(runId: string): Promise<void> {
    const { runs } = this.parts.store.read;
    const run = await runs.get(runId);
    if (!run) throw failure("run.not-found", { name: runId });
    if (run.owner === this.replica) return;
    const free = run.owner === null || isRunEnded(run.status);
    if (!free || !(await runs.take(runId, run.owner, this.replica))) throw failure("run.elsewhere", { name: runId });
  }

  /** A transaction on a run of this replica. @throws when it is another's by now */
  async onRun<T>(runId: string, work: (unit: Unit, run: StoredRun) => Promise<T>): Promise<T> {
    return this.parts.store.transaction(async (unit) => {
      const run = await unit.runs.hold(runId, this.replica);
      if (!run) throw new NotOurs(`run ${runId} is not this replica's`);
      return work(unit, run);
    });
  }

  /** Ends a run at a person's or a policy's wish; its processes are gone when this returns. @throws `run.ended` */
  async cancel(runId: string, by: string): Promise<void> {
    await this.turns.take(runId, async () => {
      await this.makeOurs(runId);
      await this.onRun(runId, async (unit, run) => {
        if (isRunEnded(run.status)) throw failure("run.ended", { name: runId, status: run.status });
        // a crash between here and the end does not forget it
        await unit.runs.update(runId, { cancelRequested: by });
      });
      await this.endByCancel(runId, by);
    });
  }

  private async endByCancel(runId: string, by: string): Promise<void> {
    const error = { code: "run.cancelled", message: `cancelled by ${by}` };
    await this.endEarly(runId, "cancelled", error, (unit) => this.journal.write(unit, runId, "run.cancelled", { by }));
  }

  /** Ends the processes of a run, then the run. */
  private async endEarly(
    runId: string,
    status: "failed" | "cancelled",
    error: RunError,
    before: (unit: Unit) => Promise<void> = async () => undefined,
  ): Promise<void> {
    const live = await this.parts.store.read.runs.segments(runId);
    await Promise.all(live.map(({ segment }) => this.dispatcher.agentOf(segment)?.cancel(segment.id)));
    await this.onRun(runId, async (unit, run) => {
      if (isRunEnded(run.status)) return;
      await before(unit);
      await this.ending.end(unit, run, status, error);
      unit.afterCommit(() => this.forget(runId));
    });
    await this.wakeQueued(runId);
  }

  private async work(runId: string): Promise<void> {
    const { store, clock } = this.parts;
    const run = await store.read.runs.get(runId);
    if (!run || isRunEnded(run.status) || run.owner !== this.replica || this.stopping) return;
    if (run.cancelRequested !== null) return this.endByCancel(runId, run.cancelRequested);
    if (run.queued && !(await this.hasItsTurn(run))) return;
    if (run.deadline !== null && run.deadline <= instant(clock)) return this.endByTimeout(run);
    const plan = await this.definitions.of(store.read, run);
    await this.takeUpSegments(run);
    const sheet = await Sheet.load(store.read, run, plan, instant(clock));
    const decided = await this.dispatcher.decide(run, sheet);
    const over = await this.write(run, decided, sheet);
    const planned = decided.segments.reduce((total, { segment }) => total + segment.steps.length, 0);
    const { inFlight } = sheet.picture;
    this.loads.set(runId, { inFlight: inFlight + planned, more: sheet.freeCount > planned });
    if (over) return this.wakeQueued(runId);
    for (const { segment, prepared } of decided.segments) {
      await this.dispatcher.submit(run, segment, prepared, sheet.picture.outputs);
      this.watch(runId, segment.id);
    }
    this.setAlarm(run, decided.wakeAt);
  }

  /** Writes what was decided, in one transaction. @returns whether the run is over */
  private async write(
    run: StoredRun,
    decided: Awaited<ReturnType<Dispatcher["decide"]>>,
    sheet: Sheet,
  ): Promise<boolean> {
    const { picture } = sheet;
    const failed = [...picture.steps.values()].some(hasFailed);
    const waits = picture.inFlight > 0 || decided.segments.length > 0 || (!failed && decided.waits);
    if (waits && !sheet.isChanged && decided.segments.length === 0) return false;
    await this.onRun(run.id, async (unit, present) => {
      await sheet.save(unit);
      for (const { segment, ordinal } of decided.segments) {
        if (!(await unit.runs.addSegment(segment, ordinal))) throw new Error(`segment ${segment.id} is there already`);
      }
      await this.journal.writeChanges(unit, run.id, decided.changes);
      if (!waits) {
        await this.ending.settle(unit, present);
        unit.afterCommit(() => this.forget(run.id));
      } else if (present.status === "pending" && decided.changes.length > 0) {
        await unit.runs.update(run.id, { status: "running", started: instant(this.parts.clock) });
      }
    });
    return !waits;
  }

  /** Segments that were handed over before a crash, or by another replica, are handed over again. */
  private async takeUpSegments(run: StoredRun): Promise<void> {
    for (const { segment } of await this.parts.store.read.runs.segments(run.id)) {
      if (this.observing.has(segment.id)) continue;
      const taken = await this.dispatcher.takeUp(run, segment);
      if (taken) this.watch(run.id, segment.id);
      else await this.agentIsGone(run.id, segment.id, segment.agent);
    }
  }

  private async agentIsGone(runId: string, segmentId: string, agent: string): Promise<void> {
    await this.onRun(runId, async (unit) => {
      const steps = (await unit.runs.steps(runId)).filter(
        (step) => step.segmentId === segmentId && !isEnded(step.state),
      );
      for (const step of steps.slice(0, 1)) {
        const { code, message, hint = "" } = failure("step.agent-gone", { step: step.name, agent });
        const at = instant(this.parts.clock);
        const event: StepEvent = {
          type: "failed",
          step: step.name,
          attempt: step.attempt + (step.state.status === "waiting" ? 1 : 0),
          at,
          error: { code, message, hint },
        };
        const plan = await this.definitions.of(unit, (await unit.runs.get(runId)) as StoredRun);
        const change = afterEvent(plan.graph, step, event);
        if (change) {
          await unit.runs.updateStep(change.step);
          await this.journal.writeChanges(unit, runId, [change]);
        }
      }
      await unit.runs.endSegment(segmentId);
    });
  }

  /** The agent that holds a segment, when it is there. */
  async agentHolding(segmentId: string): Promise<WorkloadAgent | undefined> {
    const stored = await this.parts.store.read.runs.segment(segmentId);
    return stored && this.dispatcher.agentOf(stored.segment);
  }

  private watch(runId: string, segmentId: string): void {
    this.observing.add(segmentId);
    void this.observe(runId, segmentId);
  }

  private async observe(runId: string, segmentId: string): Promise<void> {
    try {
      const agent = await this.dispatcher.agentOfSegment(segmentId);
      for await (const events of agent.observe(segmentId)) {
        if (this.stopping) return;
        await this.turns.take(runId, () => this.apply(runId, segmentId, events));
      }
      this.observing.delete(segmentId);
      if (this.stopping) return;
      await this.turns.take(runId, () => this.onRun(runId, (unit) => unit.runs.endSegment(segmentId)));
      this.advance(runId);
    } catch (error) {
      // observed again, the agent tells everything once more
      this.observing.delete(segmentId);
      // another replica goes on with what runs
      if (error instanceof NotOurs) (await this.agentHolding(segmentId))?.abandon(segmentId);
      await this.turns.take(runId, () => this.stumble(runId, error));
    }
  }

  private async apply(runId: string, segmentId: string, events: readonly StepEvent[]): Promise<void> {
    const { over, planAgain } = await this.reports.apply(runId, segmentId, events);
    if (over) {
      this.forget(runId);
      await this.wakeQueued(runId);
    }
    if (planAgain) this.advance(runId);
  }

  private async endByTimeout(run: StoredRun): Promise<void> {
    const { definition } = await this.definitions.of(this.parts.store.read, run);
    const { code, message, hint = "" } = failure("run.timeout", { timeout: definition.timeout ?? "" });
    await this.endEarly(run.id, "failed", { code, message, hint });
  }

  private async hasItsTurn(run: StoredRun): Promise<boolean> {
    const others = await this.parts.store.read.runs.active({ queueKey: run.queueKey ?? "" });
    return others.every((other) => other.id >= run.id);
  }

  /** A run is over: the one that waits behind it has its turn. */
  private async wakeQueued(runId: string): Promise<void> {
    const { runs } = this.parts.store.read;
    const queueKey = (await runs.get(runId))?.queueKey;
    if (!queueKey) return;
    const [next] = await runs.active({ queueKey });
    if (next) this.parts.hub.notify(`advance:${next.id}`);
    if (next?.owner === this.replica) this.advance(next.id);
  }

  private setAlarm(run: StoredRun, wakeAt: string | undefined): void {
    this.alarms.get(run.id)?.();
    this.alarms.delete(run.id);
    const moments = [wakeAt, run.deadline].filter((moment) => moment !== undefined && moment !== null);
    if (moments.length === 0) return;
    const first = Math.min(...moments.map((moment) => Date.parse(moment)));
    this.alarms.set(
      run.id,
      this.parts.timers.at(first, () => this.advance(run.id)),
    );
  }

  private forget(runId: string): void {
    this.alarms.get(runId)?.();
    this.alarms.delete(runId);
    this.loads.delete(runId);
  }

  /**
   * Something went wrong with the engine's own work on a run. What may pass, as a full disk, is tried again: the run is not
   * lost. Anything else ends the run and says why.
   */
  private async stumble(runId: string, thrown: unknown): Promise<void> {
    if (thrown instanceof NotOurs) return this.forget(runId);
    const error = asDiskFull(thrown, "the database");
    this.parts.log.error({ err: error, run: runId }, "a run could not be advanced");
    if (this.stopping) return;
    if (!(error as { temporary?: boolean }).temporary && !this.parts.store.isPassing(error)) {
      try {
        return await this.endEarly(runId, "failed", asRunError(error));
      } catch (again) {
        if (again instanceof NotOurs) return this.forget(runId);
        this.parts.log.error({ err: again, run: runId }, "nor could its end be recorded");
      }
    }
    this.alarms.get(runId)?.();
    this.alarms.set(
      runId,
      this.parts.timers.at(this.parts.clock() + tryAgainAfterMs, () => this.advance(runId)),
    );
  }
}

export function asRunError(error: unknown): RunError {
  const known = error as { code?: unknown; message?: unknown; hint?: unknown };
  return {
    code: typeof known.code === "string" ? known.code : "internal",
    message: typeof known.message === "string" ? known.message : String(error),
    ...(typeof known.hint === "string" ? { hint: known.hint } : {}),
  };
}
