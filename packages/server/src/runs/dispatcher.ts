import type { KnownOutputs } from "@fuseml/core/run/complete";
import { plan, type Segment } from "@fuseml/core/run/plan";
import type { StepSpec } from "@fuseml/core/run/spec";
import { outputsOf } from "@fuseml/core/run/state";
import type { StepExtensions } from "../extensions/service.ts";
import { instant } from "../platform/clock.ts";
import type { EngineParts } from "./engine.ts";
import type { Journal } from "./journal.ts";
import type { StoredRun, StoredStep } from "./records.ts";
import type { Sheet } from "./sheet.ts";
import { failedStep, gatedStep, passedStep, reusedStep, type StepChange, skippedStep } from "./transitions.ts";
import type { SegmentContext, WorkloadAgent } from "./workload-agent.ts";

/** The extensions of a segment's steps, resolved. It holds secrets. */
type Prepared = ReadonlyMap<string, StepExtensions>;

/** What planning came to. */
export type Decided = {
  readonly changes: readonly StepChange[];
  readonly segments: readonly { readonly segment: Segment; readonly ordinal: number; readonly prepared: Prepared }[];
  readonly wakeAt: string | undefined;
  /** Whether a step waits for something that is still to come. */
  readonly waits: boolean;
};

/** Between the planner and the agents: looks up what planning asks for, and hands segments over. */
export class Dispatcher {
  private readonly parts: EngineParts & { readonly journal: Journal };

  constructor(parts: Dispatcher["parts"]) {
    this.parts = parts;
  }

  /** Plans until there is nothing to do first. The sheet has all changes then. @throws why a step cannot run at all */
  async decide(run: StoredRun, sheet: Sheet): Promise<Decided> {
    const { agents, clock } = this.parts;
    const at = instant(clock);
    const changes: StepChange[] = [];
    const change = (of: StepChange) => {
      sheet.change(of.step);
      changes.push(of);
    };
    for (;;) {
      const decision = plan(sheet.picture, agents);
      if (decision.refused) throw decision.refused.reason;
      for (const { row, reason } of decision.skipped) change(skippedStep(sheet.stored(row.name), reason, at));
      for (const { row, error } of decision.failed) change(failedStep(sheet.stored(row.name), error, at));
      for (const row of decision.passed) change(passedStep(sheet.stored(row.name), at));
      for (const { step, combinations } of decision.expanded) {
        if (combinations.length > 0) sheet.expand(step, combinations);
        else change(emptyMatrix(sheet, step, at));
      }
      for (const { row, spec } of decision.reusable) {
        const found = await this.lookForResult(run, sheet.stored(row.name), spec, at);
        if ("entry" in found) change(found);
        else sheet.change(found.step);
      }
      const { skipped, failed, passed, expanded, reusable } = decision;
      if ([skipped, failed, passed, expanded, reusable].some((list) => list.length > 0)) continue;
      for (const { row, gate } of decision.closed) change(gatedStep(sheet.stored(row.name), gate));
      const segments: Decided["segments"][number][] = [];
      for (const [index, segment] of decision.segments.entries()) {
        const prepared = await this.prepare(run, segment.steps);
        for (const [name, { choices }] of prepared) sheet.change({ ...sheet.stored(name), extensions: choices });
        segments.push({ segment, ordinal: sheet.picture.segments + index + 1, prepared });
      }
      const waits = decision.wakeAt !== undefined || sheet.hasGates();
      return { changes, segments, wakeAt: decision.wakeAt, waits };
    }
  }

  private async lookForResult(
    run: StoredRun,
    step: StoredStep,
    spec: StepSpec,
    at: string,
  ): Promise<StepChange | { readonly step: StoredStep }> {
    const { reuse, extensions, store } = this.parts;
    const { choices } = await extensions.forStep(spec, { project: run.project });
    const key = await reuse.keyOf(spec, choices);
    const answer = run.noCache
      ? { hit: false as const, because: "earlier results were not to be taken" }
      : await reuse.find(run, spec, key);
    if (!answer.hit) {
      return { step: { ...step, reuse: { key: key.key, because: answer.because, parts: key.parts } } };
    }
    const { runId, stepRun, outputs } = answer.entry;
    await store.read.cache.markUsed(key.key, at);
    return reusedStep({ ...step, extensions: choices }, key.key, { run: runId, step: stepRun, outputs }, at);
  }

  /** Keeps what reusable steps gave. A crash before this loses a shortcut, and nothing else. */
  async keepResults(run: StoredRun, steps: readonly StoredStep[]): Promise<void> {
    for (const { step, name, state, reuse } of steps) {
      if (state.status !== "succeeded" || !reuse?.parts) continue;
      const key = { key: reuse.key, parts: reuse.parts };
      const entry = await this.parts.reuse.entryOf(run, { step, name }, key, outputsOf(state) ?? {});
      await this.parts.store.transaction((unit) => unit.cache.save(entry));
    }
  }

  private async prepare(run: StoredRun, steps: readonly StepSpec[]): Promise<Prepared> {
    const prepared = new Map<string, StepExtensions>();
    for (const step of steps) {
      if (step.extensions.length === 0) continue;
      prepared.set(step.name, await this.parts.extensions.forStep(step, { project: run.project }));
    }
    return prepared;
  }

  agentOf(segment: Segment): WorkloadAgent | undefined {
    return this.parts.agents.find((candidate) => candidate.name === segment.agent);
  }

  async agentOfSegment(segmentId: string): Promise<WorkloadAgent> {
    const stored = await this.parts.store.read.runs.segment(segmentId);
    const agent = stored && this.agentOf(stored.segment);
    if (!agent) throw new Error(`segment ${segmentId} has no agent`);
    return agent;
  }

  async submit(run: StoredRun, segment: Segment, prepared: Prepared, finished: KnownOutputs): Promise<void> {
    const { issueToken, serverUrl } = this.parts;
    const extensions: Record<string, SegmentContext["extensions"][string]> = {};
    for (const [name, { variables, secrets }] of prepared) extensions[name] = { variables, secrets };
    const limits = await this.limits(run);
    const agent = this.agentOf(segment);
    if (!agent) throw new Error(`agent "${segment.agent}" is not configured any more`);
    await agent.submit(segment, {
      workflow: run.workflow,
      project: run.project,
      serverUrl,
      token: await issueToken(run.id),
      finished,
      extensions,
      ...(limits ? { limits } : {}),
    });
  }

  private async limits(run: StoredRun): Promise<SegmentContext["limits"]> {
    const { store } = this.parts;
    const workflow =
      run.definition ?? (await store.read.workflows.getVersion(run.workflow, run.workflowVersion))?.definition;
    const project = (await store.read.projects.get(run.project))?.parallelism ?? undefined;
    if (workflow?.parallelism === undefined && project === undefined) return undefined;
    return {
      ...(workflow?.parallelism === undefined ? {} : { run: workflow.parallelism }),
      ...(project === undefined ? {} : { project }),
    };
  }

  /** Hands a segment over again. @returns false when its agent is not there any more */
  async takeUp(run: StoredRun, segment: Segment): Promise<boolean> {
    if (!this.agentOf(segment)) return false;
    const { runs } = this.parts.store.read;
    const names = new Set(segment.steps.map((step) => step.step));
    const states = await runs.endedStates(run.id, [...names]);
    const finished = new Map(states.map(({ name, state }) => [name, outputsOf(state) ?? {}]));
    await this.submit(run, segment, await this.prepare(run, segment.steps), finished);
    return true;
  }

  /** No further step of the run starts; those under way run to their end. */
  async drainAll(runId: string): Promise<void> {
    for (const { segment } of await this.parts.store.read.runs.segments(runId)) {
      await this.agentOf(segment)?.drain(segment.id);
    }
  }
}

/** Of a matrix without combinations there is nothing to run; its outputs are empty lists. */
function emptyMatrix(sheet: Sheet, step: string, at: string): StepChange {
  const row = sheet.stored(step);
  const names = sheet.picture.graph.get(step)?.definition.outputs?.map((output) => output.name) ?? [];
  const change = skippedStep(row, { type: "condition", condition: "its matrix is empty" }, at);
  const outputs = Object.fromEntries(names.map((name) => [name, "[]"]));
  return { ...change, step: { ...change.step, state: { status: "skipped", ended: at, outputs } } };
}
