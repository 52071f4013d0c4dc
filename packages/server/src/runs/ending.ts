import { outputValue } from "@fuseml/core/run/complete";
import { finalStatus, type Outputs, outputsOf, type RunError } from "@fuseml/core/run/state";
import { type Clock, instant } from "../platform/clock.ts";
import type { Unit } from "../state/store.ts";
import type { RunDefinitions } from "./definitions.ts";
import type { Journal } from "./journal.ts";
import type { StoredRun } from "./records.ts";

const stuck: RunError = {
  code: "internal",
  message: "steps are left that nothing can start",
  hint: "this is a defect of FuseML: please report it with the run's definition",
};

/** Where runs end. */
export class Ending {
  private readonly parts: { clock: Clock; journal: Journal; definitions: RunDefinitions };

  constructor(parts: Ending["parts"]) {
    this.parts = parts;
  }

  /** Ends a run of which nothing can go on, as its steps say. */
  async settle(unit: Unit, run: StoredRun): Promise<void> {
    const counts = await unit.runs.countSteps(run.id);
    const total: Record<string, number> = {};
    for (const of of counts.values())
      for (const [status, count] of Object.entries(of)) total[status] = (total[status] ?? 0) + count;
    const status = finalStatus(total);
    const failed = status === "failed" ? await unit.runs.firstStep(run.id, "failed") : undefined;
    const error = failed?.state.status === "failed" ? failed.state.error : status === "failed" ? stuck : null;
    const outputs = await this.outputs(unit, run);
    await this.end(unit, { ...run, outputs }, status, error);
  }

  /** What the workflow declares as its outputs, as far as its steps gave it; the last step that gives one wins. */
  private async outputs(unit: Unit, run: StoredRun): Promise<Outputs> {
    const { definition } = await this.parts.definitions.of(unit, run);
    const found: Record<string, string> = {};
    for (const { name } of definition.outputs ?? []) {
      const sources = definition.steps.filter((step) => step.outputs?.some((output) => output.name === name));
      for (const { name: step } of sources) {
        const states = await unit.runs.endedStates(run.id, [step]);
        const known = new Map(states.map((of) => [of.name, outputsOf(of.state) ?? {}]));
        const value = outputValue(known, step, name);
        if (value !== undefined) found[name] = value;
      }
    }
    return found;
  }

  /** The one place where a run ends. What has not started is skipped; what was under way has been ended before. */
  async end(unit: Unit, run: StoredRun, status: StoredRun["status"], error: RunError | null): Promise<void> {
    const at = instant(this.parts.clock);
    await unit.runs.replaceWaiting(run.id, { status: "skipped", ended: at, reason: { type: "run-ended" } });
    for (let step = await unit.runs.firstStep(run.id, "running"); step; ) {
      await unit.runs.updateStep({ ...step, state: { status: "cancelled", ended: at } });
      step = await unit.runs.firstStep(run.id, "running");
    }
    const { outputs } = run;
    await unit.runs.update(run.id, {
      status,
      error,
      outputs,
      started: run.started ?? at,
      ended: at,
      cancelRequested: null,
    });
    await unit.runs.endSegments(run.id);
    await unit.tokens.removeOfRun(run.id);
    await this.parts.journal.write(unit, run.id, "run.ended", { status, outputs, ...(error ? { error } : {}) });
  }
}
