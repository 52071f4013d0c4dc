import { inFlightLimit } from "@fuseml/core/run/plan";
import { isEnded, isRunEnded, type StepEvent } from "@fuseml/core/run/state";
import { type Clock, instant } from "../platform/clock.ts";
import type { RunDefinitions } from "./definitions.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Ending } from "./ending.ts";
import type { Engine } from "./engine.ts";
import type { Journal } from "./journal.ts";
import type { StoredRun, StoredStep } from "./records.ts";
import { afterEvent, type StepChange } from "./transitions.ts";

/** For each run: the step runs that agents hold, and whether others wait to be handed over. */
export type Loads = Map<string, { inFlight: number; more: boolean }>;

/** What agents report becomes states, history, and the run's end when it was the last word. */
export class Reports {
  private readonly parts: {
    readonly clock: Clock;
    readonly journal: Journal;
    readonly definitions: RunDefinitions;
    readonly dispatcher: Dispatcher;
    readonly ending: Ending;
    readonly loads: Loads;
    readonly onRun: Engine["onRun"];
  };

  constructor(parts: Reports["parts"]) {
    this.parts = parts;
  }

  /** Writes what a segment's agent reported, in one transaction. Tells whether the run is over, or is to be planned again. */
  async apply(
    runId: string,
    segmentId: string,
    events: readonly StepEvent[],
  ): Promise<{ over: boolean; planAgain: boolean }> {
    const { clock, journal, definitions, ending, loads, onRun } = this.parts;
    const changes = new Map<string, StepChange>();
    const all: StepChange[] = [];
    let over = false;
    let stepIsOver = false;
    const run = await onRun(runId, async (unit, present) => {
      if (isRunEnded(present.status)) return undefined;
      const { graph } = await definitions.of(unit, present);
      for (const event of events) {
        const step = changes.get(event.step)?.step ?? (await unit.runs.step(runId, event.step));
        // a segment that the step was taken away from has nothing to say about it
        const change = step?.segmentId === segmentId ? afterEvent(graph, step, event) : undefined;
        if (!change) continue;
        changes.set(event.step, change);
        all.push(change);
      }
      if (all.length === 0) return undefined;
      for (const { step } of changes.values()) await unit.runs.updateStep(step);
      await journal.writeChanges(unit, runId, all);
      const ended = [...changes.values()].some(({ step }) => isEnded(step.state));
      over = ended && !(await unit.runs.hasOpenSteps(runId));
      if (over) await ending.settle(unit, present);
      else if (present.status === "pending") {
        await unit.runs.update(runId, { status: "running", started: instant(clock) });
      }
      for (const { step } of changes.values()) {
        if (!over && step.state.status === "succeeded" && loads.get(runId)?.more)
          stepIsOver ||= step.index === null || !(await unit.runs.hasOpenSteps(runId, step.step));
      }
      return present;
    });
    if (!run) return { over: false, planAgain: false };
    const steps = [...changes.values()].map(({ step }) => step);
    return { over, planAgain: await this.follow(run, steps, over, stepIsOver) };
  }

  /** Results are kept, and nothing new starts behind a failure. @returns whether something may be ready now */
  private async follow(
    run: StoredRun,
    steps: readonly StoredStep[],
    over: boolean,
    stepIsOver: boolean,
  ): Promise<boolean> {
    const { dispatcher, loads } = this.parts;
    await dispatcher.keepResults(run, steps);
    if (over) return false;
    const load = loads.get(run.id);
    const ended = steps.filter((step) => step.state.status !== "running").length;
    if (load) load.inFlight -= ended;
    if (steps.some((step) => step.state.status === "failed")) await dispatcher.drainAll(run.id);
    const again = steps.some((step) => step.state.status === "waiting");
    const low = load === undefined || (load.more && load.inFlight < inFlightLimit / 2 && ended > 0);
    return again || stepIsOver || low;
  }
}
