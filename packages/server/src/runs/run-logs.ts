import { failure } from "@fuseml/core/errors";
import { rowsNamed } from "@fuseml/core/run/intervene";
import { isEnded } from "@fuseml/core/run/state";
import type { Hub } from "../platform/events/hub.ts";
import type { Store } from "../state/store.ts";
import type { StoredRun, StoredStep } from "./records.ts";
import { runSubject } from "./subjects.ts";
import type { LogChunk, WorkloadAgent } from "./workload-agent.ts";

export type LogOptions = {
  readonly step?: string | undefined;
  /** Of one step: which try; the last one when absent. */
  readonly attempt?: number | undefined;
  readonly from: number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
};

/** The logs of runs. They outlive processes, agents and runs, until the run is removed. */
export class RunLogs {
  private readonly parts: { store: Store; agents: readonly WorkloadAgent[]; hub: Hub };

  constructor(parts: RunLogs["parts"]) {
    this.parts = parts;
  }

  /** The log of a run, step by step, or of one step. With `follow`, until it has ended. @throws `run.step-not-found` */
  async of(run: StoredRun, options: LogOptions): Promise<AsyncIterable<LogChunk & { step: string }>> {
    const steps = await this.parts.store.read.runs.steps(run.id);
    const chosen = options.step === undefined ? steps : (rowsNamed(steps, options.step) as readonly StoredStep[]);
    return this.read(run, chosen, options);
  }

  private async *read(
    run: StoredRun,
    steps: readonly StoredStep[],
    options: LogOptions,
  ): AsyncIterable<LogChunk & { step: string }> {
    const { store, hub } = this.parts;
    for (const { name } of steps) {
      // a step that has not started has no log: wait for it when following
      const started = async () => {
        const present = await store.read.runs.step(run.id, name);
        const done = present?.state.status !== "waiting" || !options.follow;
        return { items: done ? [present] : [], done };
      };
      for await (const step of hub.follow(runSubject(run.id), started, options.signal)) {
        if (step) yield* this.ofStep(step, options, steps.length === 1);
      }
      if (options.signal.aborted) return;
    }
  }

  private async *ofStep(
    step: StoredStep,
    options: LogOptions,
    alone: boolean,
  ): AsyncIterable<LogChunk & { step: string }> {
    const { store, agents } = this.parts;
    const segmentId = await this.segmentOf(step, options.attempt);
    const of = segmentId === undefined ? undefined : (await store.read.runs.segment(segmentId))?.segment;
    const agent = agents.find((candidate) => candidate.name === of?.agent);
    if (!of || !agent) return;
    const reading = {
      from: alone ? options.from : 0,
      follow: options.follow && !isEnded(step.state),
      signal: options.signal,
    };
    try {
      for await (const chunk of agent.logs(of.id, step.name, reading)) yield { ...chunk, step: step.name };
    } catch (error) {
      // of a whole run the other logs are still worth reading
      if (alone || (error as { code?: string }).code !== "log.gone") throw error;
    }
  }

  private async segmentOf(step: StoredStep, attempt: number | undefined): Promise<string | undefined> {
    const before = await this.parts.store.read.runs.attempts(step.runId, step.name);
    if (attempt !== undefined && attempt !== step.attempt) {
      const found = before.find((of) => of.attempt === attempt);
      if (!found) throw failure("request.invalid", { message: `step "${step.name}" has no attempt ${attempt}` });
      return found.segmentId;
    }
    // between two tries the log is that of the one before
    return step.segmentId ?? before.at(-1)?.segmentId;
  }
}
