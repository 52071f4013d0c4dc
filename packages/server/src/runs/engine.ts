import { failure } from "@fuseml/core/errors";
import type { ResolvedChoice } from "@fuseml/core/extension/resolve";
import { finishedOutputs, plan, type Segment } from "@fuseml/core/run/plan";
import { pinSteps } from "@fuseml/core/run/spec";
import {
  isEnded,
  isRunEnded,
  type Outputs,
  onCancel,
  onStepEvent,
  type RunError,
  runStatus,
  type StepEvent,
  type StepState,
} from "@fuseml/core/run/state";
import type { ExtensionResolver } from "../extensions/service.ts";
import { type Clock, instant } from "../platform/clock.ts";
import type { Hub } from "../platform/events/hub.ts";
import { asDiskFull } from "../platform/files/atomic.ts";
import type { Log } from "../platform/log.ts";
import type { Store, Unit } from "../state/store.ts";
import type { StoredRun, StoredStep } from "./repository.ts";
import type { SegmentContext, WorkloadAgent } from "./workload-agent.ts";

export type EngineParts = {
  readonly store: Store;
  readonly agents: readonly WorkloadAgent[];
  readonly extensions: ExtensionResolver;
  readonly hub: Hub;
  readonly clock: Clock;
  readonly log: Log;
  /** The token that the steps of a run call the server with. Known to the server from now until the run ends. */
  readonly issueToken: (runId: string) => Promise<string>;
  readonly serverUrl: string;
};

const tryAgainAfterMs = 1000;

export const runSubject = (runId: string): string => `run:${runId}`;

/**
 * Makes runs go on. It is a function of the database: kill it anywhere, start it again, and it continues.
 * Its one verb is *advance*; every event ends in it.
 */
export class Engine {
  private readonly parts: EngineParts;
  /** Work on one run is done in turn. */
  private readonly turns = new Map<string, Promise<void>>();
  private readonly observing = new Set<string>();
  private stopping = false;

  constructor(parts: EngineParts) {
    this.parts = parts;
  }

  /** Takes up every run that has not ended. */
  async start(): Promise<void> {
    for (const run of await this.parts.store.read.runs.active()) this.advance(run.id);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.parts.agents.map((agent) => agent.shutdown()));
    await Promise.allSettled(this.turns.values());
  }

  /** Does what can be done for a run now. Called again while it works, it works once more. */
  advance(runId: string): void {
    void this.inTurn(runId, () => this.dispatch(runId).catch((error: unknown) => this.stumble(runId, error)));
  }

  /**
   * Something went wrong with the engine's own work on a run. What may pass, as a full disk, is tried again: the run is not
   * lost. Anything else ends the run and says why.
   */
  private async stumble(runId: string, thrown: unknown): Promise<void> {
    const error = asDiskFull(thrown, "the database");
    this.parts.log.error({ err: error, run: runId }, "a run could not be advanced");
    if (this.stopping) return;
    if (!(error as { temporary?: boolean }).temporary) {
      try {
        return await this.failRun(runId, asRunError(error));
      } catch (again) {
        this.parts.log.error({ err: again, run: runId }, "nor could its end be recorded");
      }
    }
    setTimeout(() => this.advance(runId), tryAgainAfterMs).unref();
  }

  /** Ends a run at a person's wish. @throws `run.ended` */
  async cancel(runId: string, by: string): Promise<void> {
    const { store, clock } = this.parts;
    await this.inTurn(runId, async () => {
      await store.transaction(async (unit) => {
        const run = await unit.runs.get(runId);
        if (!run) throw failure("run.not-found", { name: runId });
        if (isRunEnded(run.status)) throw failure("run.ended", { name: runId, status: run.status });
        const at = instant(clock);
        for (const step of await unit.runs.steps(runId)) {
          const state = onCancel(step.state, at);
          if (state !== step.state) await unit.runs.updateStep({ ...step, state });
        }
        await this.event(unit, runId, "run.cancelled", { by });
        await this.end(unit, run, "cancelled", { code: "run.cancelled", message: `cancelled by ${by}` });
      });
      for (const { segment } of await store.read.runs.segments(runId)) await this.agent(segment).cancel(segment.id);
    });
  }

  private inTurn(runId: string, work: () => Promise<void>): Promise<void> {
    const before = this.turns.get(runId) ?? Promise.resolve();
    const turn = before.catch(() => undefined).then(work);
    this.turns.set(runId, turn);
    const forget = () => {
      if (this.turns.get(runId) === turn) this.turns.delete(runId);
    };
    turn.then(forget, forget);
    return turn;
  }

  private agent(segment: Segment): WorkloadAgent {
    const agent = this.parts.agents.find((candidate) => candidate.name === segment.agent);
    if (!agent) throw new Error(`agent "${segment.agent}" is not configured any more`);
    return agent;
  }

  private async dispatch(runId: string): Promise<void> {
    const { store } = this.parts;
    const run = await store.read.runs.get(runId);
    if (!run || isRunEnded(run.status) || this.stopping) return;
    const segments = await this.plannedSegments(run);
    const states = new Map((await store.read.runs.steps(runId)).map((step) => [step.name, step.state]));
    for (const segment of segments) {
      const over = segment.steps.every((step) => isEnded(states.get(step.name) ?? { status: "waiting" }));
      if (over) continue;
      if (!this.observing.has(segment.id)) await this.submit(run, segment, states);
      // the next segment waits for this one
      return;
    }
  }

  /** The run's segments: those in the database, or a new plan put there. */
  private async plannedSegments(run: StoredRun): Promise<readonly Segment[]> {
    const { store, agents } = this.parts;
    const present = await store.read.runs.segments(run.id);
    if (present.length > 0) return present.map(({ segment }) => segment);
    const workflow = await store.read.workflows.getVersion(run.workflow, run.workflowVersion);
    if (!workflow) throw new Error(`version ${run.workflowVersion} of workflow ${run.workflow} is gone`);
    const steps = pinSteps(workflow.definition, run.pins);
    const states = new Map((await store.read.runs.steps(run.id)).map((step) => [step.name, step.state]));
    const planned = plan({ runId: run.id, steps, states, agents });
    if (!planned.ok) throw planned.reason;
    await store.transaction(async (unit) => {
      for (const [ordinal, segment] of planned.segments.entries()) await unit.runs.addSegment(segment, ordinal);
    });
    return planned.segments;
  }

  private async submit(run: StoredRun, segment: Segment, states: ReadonlyMap<string, StepState>): Promise<void> {
    const { store } = this.parts;
    const extensions: Record<string, SegmentContext["extensions"][string]> = {};
    const choices = new Map<string, Record<string, ResolvedChoice>>();
    for (const step of segment.steps) {
      const resolved = await this.parts.extensions.forStep(step, { project: run.project });
      extensions[step.name] = { variables: resolved.variables, secrets: resolved.secrets };
      if (Object.keys(resolved.choices).length > 0) choices.set(step.name, resolved.choices);
    }
    if (choices.size > 0) {
      await store.transaction(async (unit) => {
        for (const step of await unit.runs.steps(run.id)) {
          const chosen = choices.get(step.name);
          if (chosen && !isEnded(step.state)) await unit.runs.updateStep({ ...step, extensions: chosen });
        }
      });
    }
    const agent = this.agent(segment);
    await agent.submit(segment, {
      workflow: run.workflow,
      project: run.project,
      serverUrl: this.parts.serverUrl,
      token: await this.parts.issueToken(run.id),
      finished: finishedOutputs(states),
      extensions,
    });
    this.observing.add(segment.id);
    void this.observe(run.id, segment, agent);
  }

  private async observe(runId: string, segment: Segment, agent: WorkloadAgent): Promise<void> {
    try {
      for await (const events of agent.observe(segment.id)) {
        if (this.stopping) return;
        await this.inTurn(runId, () => this.apply(runId, events));
      }
      this.observing.delete(segment.id);
      this.advance(runId);
    } catch (error) {
      // observed again, the agent tells everything once more
      this.observing.delete(segment.id);
      await this.inTurn(runId, () => this.stumble(runId, error));
    }
  }

  /** Records what an agent reported: state, event and the run's end in one transaction. Reads only the steps that are told of. */
  private async apply(runId: string, events: readonly StepEvent[]): Promise<void> {
    await this.parts.store.transaction(async (unit) => {
      const run = await unit.runs.get(runId);
      if (!run || isRunEnded(run.status)) return;
      const touched = new Map<string, StoredStep>();
      for (const event of events) {
        const step = touched.get(event.step) ?? (await unit.runs.step(runId, event.step));
        if (!step) continue;
        const { state, changed } = onStepEvent(step.state, event);
        if (!changed) continue;
        touched.set(step.name, { ...step, state });
        await this.event(unit, runId, `step.${event.type}`, stepEventData(event));
      }
      if (touched.size === 0) return;
      for (const step of touched.values()) await unit.runs.updateStep(step);
      await this.settle(unit, run);
    });
  }

  /** Brings the run's status to that of its steps. */
  private async settle(unit: Unit, run: StoredRun): Promise<void> {
    const { clock } = this.parts;
    const status = runStatus(await unit.runs.countSteps(run.id));
    if (!isRunEnded(status)) {
      if (run.status === "pending") await unit.runs.update({ ...run, status: "running", started: instant(clock) });
      return;
    }
    const states = (await unit.runs.steps(run.id)).map((step) => step.state);
    const failed = states.find((state) => state.status === "failed");
    const outputs: Outputs = Object.assign(
      {},
      ...states.map((state) => (state.status === "succeeded" ? state.outputs : {})),
    );
    const workflow = await unit.workflows.getVersion(run.workflow, run.workflowVersion);
    const declared = new Set((workflow?.definition.outputs ?? []).map((output) => output.name));
    const ended = {
      ...run,
      started: run.started ?? instant(clock),
      outputs: Object.fromEntries(Object.entries(outputs).filter(([name]) => declared.has(name))),
    };
    await this.end(unit, ended, status, failed?.status === "failed" ? failed.error : null);
  }

  /** The one place where a run ends. */
  private async end(unit: Unit, run: StoredRun, status: StoredRun["status"], error: RunError | null): Promise<void> {
    const at = instant(this.parts.clock);
    for (const step of await unit.runs.steps(run.id)) {
      if (!isEnded(step.state)) await unit.runs.updateStep({ ...step, state: { status: "skipped", ended: at } });
    }
    await unit.runs.update({ ...run, status, error, ended: at });
    await unit.runs.endSegments(run.id);
    await unit.tokens.removeOfRun(run.id);
    await this.event(unit, run.id, "run.ended", { status, outputs: run.outputs, ...(error ? { error } : {}) });
  }

  private async failRun(runId: string, error: RunError): Promise<void> {
    await this.parts.store.transaction(async (unit) => {
      const run = await unit.runs.get(runId);
      if (run && !isRunEnded(run.status)) await this.end(unit, run, "failed", error);
    });
  }

  private async event(unit: Unit, runId: string, type: string, data: Record<string, unknown>): Promise<void> {
    await unit.events.append({ subject: runSubject(runId), type, data, time: instant(this.parts.clock) });
    unit.afterCommit(() => this.parts.hub.notify(runSubject(runId)));
  }
}

function stepEventData(event: StepEvent): Record<string, unknown> {
  const { type: _type, ...data } = event;
  return data;
}

function asRunError(error: unknown): RunError {
  const known = error as { code?: unknown; message?: unknown; hint?: unknown };
  return {
    code: typeof known.code === "string" ? known.code : "internal",
    message: typeof known.message === "string" ? known.message : String(error),
    ...(typeof known.hint === "string" ? { hint: known.hint } : {}),
  };
}
