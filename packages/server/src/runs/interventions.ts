import { durationMs } from "@fuseml/core/duration";
import { failure } from "@fuseml/core/errors";
import { type Rewrite, resume, retry, rowsNamed } from "@fuseml/core/run/intervene";
import type { Gate } from "@fuseml/core/run/state";
import { isDone, isEnded, isRunEnded } from "@fuseml/core/run/state";
import type { WorkflowDefinition } from "@fuseml/core/workflow/definition";
import { type Clock, instant } from "../platform/clock.ts";
import type { Store, Unit } from "../state/store.ts";
import type { Engine } from "./engine.ts";
import { firstSteps } from "./launcher.ts";
import type { StoredRun, StoredStep } from "./records.ts";
import { newStep } from "./sheet.ts";
import { failedStep, type StepChange, skippedStep } from "./transitions.ts";

/** Who steps in, and what this person may. */
export type Person = { readonly name: string; readonly roles: readonly string[]; readonly mayAll: boolean };

/**
 * What people do to runs in any state: every one of these changes rows, so that planning finds something else to do.
 * What agents hold and must not start any more is taken back first.
 */
export class Interventions {
  private readonly parts: { store: Store; engine: Engine; clock: Clock };

  constructor(parts: Interventions["parts"]) {
    this.parts = parts;
  }

  /**
   * Goes on with a run that has ended, on the same inputs; with `from`, that step and what depends on it run once more.
   * @throws `run.not-ended`, `run.nothing-to-resume`, `run.step-not-found`
   */
  async resume(runId: string, from: string | undefined, by: Person): Promise<void> {
    await this.change(runId, async (run, steps, unit) => {
      if (!isRunEnded(run.status)) throw failure("run.not-ended", { name: runId, status: run.status });
      const { graph, definition } = await this.parts.engine.definitions.of(unit, run);
      const rewrite = resume(graph, steps, from);
      if (rewrite.rows.length === 0) throw failure("run.nothing-to-resume", { name: runId });
      await this.rewrite(unit, run, definition, steps, rewrite);
      await this.reopen(unit, run, definition);
      await this.tell(unit, runId, "run.resumed", { by: by.name, ...(from === undefined ? {} : { from }) });
    });
  }

  /** Runs a step once more, whatever its state and that of its run, and then what depends on it. @throws `run.step-not-found` */
  async retry(runId: string, name: string, by: Person): Promise<void> {
    await this.change(
      runId,
      async (run, steps, unit) => {
        const { graph, definition } = await this.parts.engine.definitions.of(unit, run);
        const again = retry(graph, steps, name);
        // a run that has ended goes on: what else it left undone is done, too
        const rest = isRunEnded(run.status)
          ? resume(graph, steps, undefined)
          : { rows: [], recollapse: [], touched: [] };
        const names = new Set(again.rows.map((row) => row.name));
        const rewrite: Rewrite = {
          rows: [...again.rows, ...rest.rows.filter((row) => !names.has(row.name))],
          recollapse: [...new Set([...again.recollapse, ...rest.recollapse])],
          touched: [...new Set([...again.touched, ...rest.touched])],
        };
        await this.rewrite(unit, run, definition, steps, rewrite);
        if (isRunEnded(run.status)) await this.reopen(unit, run, definition);
        await this.tell(unit, runId, "step.retried", { step: name, by: by.name });
      },
      async (run, steps) => {
        const { graph } = await this.parts.engine.definitions.of(this.parts.store.read, run);
        return retry(graph, steps, name).touched;
      },
    );
  }

  /**
   * Leaves a step out. What refers to its outputs is left out, too, unless they are given.
   * @throws `run.step-not-found`, `run.step-started` when it has succeeded
   */
  async skip(runId: string, name: string, outputs: Readonly<Record<string, string>>, by: Person): Promise<void> {
    await this.change(
      runId,
      async (run, steps, unit) => {
        const chosen = rowsNamed(steps, name);
        const done = chosen.find((row) => isDone(row.state));
        if (done && chosen.every((row) => isDone(row.state)))
          throw failure("run.step-started", { step: name, status: done.state.status });
        const { graph, definition } = await this.parts.engine.definitions.of(unit, run);
        if (isRunEnded(run.status)) {
          await this.rewrite(unit, run, definition, steps, resume(graph, steps, undefined));
          await this.reopen(unit, run, definition);
        }
        const at = instant(this.parts.clock);
        const changes: StepChange[] = [];
        for (const row of (chosen as readonly StoredStep[]).filter((of) => !isDone(of.state))) {
          const change = skippedStep({ ...row, segmentId: null }, { type: "person", by: by.name }, at);
          const state = { ...change.step.state, outputs } as StoredStep["state"];
          changes.push(Object.keys(outputs).length > 0 ? { ...change, step: { ...change.step, state } } : change);
        }
        for (const { step } of changes) await unit.runs.updateStep(step);
        await this.parts.engine.journal.writeChanges(unit, runId, changes);
      },
      async (_run, steps) => rowsNamed(steps, name).map((row) => row.name),
    );
  }

  /**
   * Gives a run another definition from here on. What has been started must be in it as it was.
   * @throws `run.step-started`, `run.definition-differs`
   */
  async swap(runId: string, edited: WorkflowDefinition, by: Person): Promise<void> {
    await this.change(
      runId,
      async (run, steps, unit) => {
        const { definition } = await this.parts.engine.definitions.of(unit, run);
        if (edited.name !== definition.name) {
          throw failure("run.definition-differs", {
            reason: `it is workflow "${edited.name}", not "${definition.name}"`,
          });
        }
        const begun = steps.filter((row) => row.state.status === "running" || isDone(row.state));
        for (const step of definition.steps) {
          const state = begun.find((row) => row.step === step.name)?.state.status;
          const now = edited.steps.find((other) => other.name === step.name);
          if (state && JSON.stringify(now) !== JSON.stringify(step))
            throw failure("run.step-started", { step: step.name, status: state });
        }
        const kept = new Set(begun.map((row) => row.step));
        const fresh = firstSteps(edited, run.pins, runId);
        for (const step of new Set(steps.map((row) => row.step))) {
          if (!kept.has(step)) await unit.runs.removeSteps(runId, step);
        }
        await unit.runs.addSteps(
          fresh
            .filter((row) => !kept.has(row.step))
            .map((row) => ({ ...row, ...triesOf(steps.find((before) => before.name === row.name)) })),
        );
        await unit.runs.update(runId, { definition: edited });
        if (isRunEnded(run.status)) await this.reopen(unit, run, edited);
        const changed = edited.steps.filter(
          (step) =>
            JSON.stringify(step) !== JSON.stringify(definition.steps.find((before) => before.name === step.name)),
        );
        await this.tell(unit, runId, "run.swapped", { by: by.name, steps: changed.map((step) => step.name) });
      },
      async (_run, steps) => steps.filter((row) => row.state.status === "waiting").map((row) => row.name),
      "waiting",
    );
  }

  /** From here on the run goes step by step. What is under way runs to its end. @throws `run.ended` */
  async pause(runId: string, by: Person): Promise<void> {
    await this.change(
      runId,
      async (run, _steps, unit) => {
        if (isRunEnded(run.status)) throw failure("run.ended", { name: runId, status: run.status });
        await unit.runs.update(runId, { stepwise: true });
        await this.tell(unit, runId, "run.paused", { by: by.name });
      },
      async (_run, steps) => steps.filter((row) => row.state.status === "waiting").map((row) => row.name),
      "waiting",
    );
  }

  /** Lets a step that is held go, or the first of them; with `all` the run goes on as any other. @throws `run.not-stepwise`, `run.not-waiting` */
  async next(runId: string, name: string | undefined, all: boolean, by: Person): Promise<readonly string[]> {
    return this.change(runId, async (run, steps, unit) => {
      if (!run.stepwise || isRunEnded(run.status)) throw failure("run.not-stepwise", { name: runId });
      if (all) {
        await unit.runs.update(runId, { stepwise: false });
        await this.tell(unit, runId, "run.continued", { by: by.name });
        return [];
      }
      const held = steps.filter((row) => gateOf(row)?.type === "pause");
      const [first] = held;
      const chosen =
        name === undefined
          ? first && [first]
          : (rowsNamed(steps, name) as readonly StoredStep[]).filter((row) => held.includes(row));
      if (!chosen || chosen.length === 0) throw failure("run.not-waiting", { step: name ?? "(none)", what: "you" });
      for (const row of chosen) {
        await unit.runs.updateStep({ ...row, state: { status: "waiting" }, passes: { ...row.passes, pause: true } });
        await this.tell(unit, runId, "step.released", { step: row.name, by: by.name });
      }
      return chosen.map((row) => row.name);
    });
  }

  /** Decides about a step that waits for approval. @throws `run.not-waiting`, `run.approver`, `run.step-not-found` */
  async decide(runId: string, name: string, verdict: "approve" | "reject", comment: string, by: Person): Promise<void> {
    await this.change(runId, async (_run, steps, unit) => {
      const waiting = (rowsNamed(steps, name) as readonly StoredStep[]).filter(
        (row) => gateOf(row)?.type === "approval",
      );
      if (waiting.length === 0) throw failure("run.not-waiting", { step: name, what: "approval" });
      const at = instant(this.parts.clock);
      for (const row of waiting) {
        const gate = gateOf(row);
        const asked = gate?.type === "approval" ? gate.by : [];
        if (!mayDecide(by, asked)) {
          throw failure("run.approver", { step: name, who: by.name, by: asked.join(", ") });
        }
        if (verdict === "approve") {
          const approval = { by: by.name, at, ...(comment ? { comment } : {}) };
          await unit.runs.updateStep({ ...row, state: { status: "waiting" }, passes: { ...row.passes, approval } });
          await this.tell(unit, runId, "step.approved", { step: row.name, by: by.name, comment });
          continue;
        }
        const { code, message, hint = "" } = failure("step.rejected", { step: row.name, by: by.name, comment });
        const change = failedStep(row, { code, message, hint }, at);
        await unit.runs.updateStep(change.step);
        await this.tell(unit, runId, "step.rejected", { step: row.name, by: by.name, comment });
        await this.parts.engine.journal.writeChanges(unit, runId, [change]);
      }
    });
  }

  /**
   * Does a change to a run while nothing else happens to it.
   * @param takeBack names the step runs that agents must not go on with; with `waiting`, only those not begun are taken back
   */
  private async change<T>(
    runId: string,
    work: (run: StoredRun, steps: readonly StoredStep[], unit: Unit) => Promise<T>,
    takeBack?: (run: StoredRun, steps: readonly StoredStep[]) => Promise<readonly string[]>,
    only?: "waiting",
  ): Promise<T> {
    const { engine } = this.parts;
    return engine.exclusively(runId, async () => {
      const taken = takeBack ? await this.takeBack(runId, takeBack, only) : nothingTaken;
      return engine.onRun(runId, async (unit, run) => {
        const steps: StoredStep[] = [];
        for (const row of await unit.runs.steps(runId)) {
          const now = unheld(row, taken);
          // what a drained segment holds and has not begun is free at once
          if (now.segmentId !== row.segmentId) await unit.runs.updateStep(now);
          steps.push(now);
        }
        return work(run, steps, unit);
      });
    });
  }

  private async takeBack(
    runId: string,
    choose: (run: StoredRun, steps: readonly StoredStep[]) => Promise<readonly string[]>,
    only: "waiting" | undefined,
  ): Promise<Taken> {
    const { engine, store } = this.parts;
    const run = await store.read.runs.get(runId);
    const steps = await store.read.runs.steps(runId);
    const names = new Set(run ? await choose(run, steps) : []);
    const open = steps.filter((row) => row.segmentId !== null && !isEnded(row.state));
    const segments = new Set(open.filter((row) => names.has(row.name)).map((row) => row.segmentId ?? ""));
    const begun = new Set<string>();
    const cancelled = new Set<string>();
    for (const id of segments) {
      const agent = await engine.agentHolding(id);
      const started = new Set(await agent?.drain(id));
      for (const row of open.filter((of) => of.segmentId === id && started.has(of.name))) {
        begun.add(row.name);
        if (!names.has(row.name) || only === "waiting") continue;
        await agent?.cancel(id, row.name);
        cancelled.add(row.name);
      }
    }
    return { segments, begun, cancelled };
  }

  private async rewrite(
    unit: Unit,
    run: StoredRun,
    definition: WorkflowDefinition,
    steps: readonly StoredStep[],
    rewrite: Rewrite,
  ): Promise<void> {
    const order = new Map(definition.steps.map((step, index) => [step.name, index]));
    const before = new Map(steps.map((row) => [row.name, row]));
    for (const step of rewrite.recollapse) await unit.runs.removeSteps(run.id, step);
    for (const row of rewrite.rows) {
      const present = before.get(row.name);
      if (present && !rewrite.recollapse.includes(row.step)) {
        await unit.runs.updateStep({ ...present, ...row, extensions: {}, segmentId: null });
      } else await unit.runs.addSteps([newStep(run.id, order.get(row.step) ?? 0, row)]);
    }
  }

  private async reopen(unit: Unit, run: StoredRun, { timeout }: WorkflowDefinition): Promise<void> {
    const deadline = timeout === undefined ? null : new Date(this.parts.clock() + durationMs(timeout)).toISOString();
    await unit.runs.update(run.id, {
      status: "running",
      error: null,
      outputs: {},
      ended: null,
      deadline,
      queued: false,
      owner: this.parts.engine.replica,
    });
  }

  private tell(unit: Unit, runId: string, type: string, data: Readonly<Record<string, unknown>>): Promise<void> {
    return this.parts.engine.journal.write(unit, runId, type, data);
  }
}

const gateOf = ({ state }: StoredStep): Gate | undefined => (state.status === "waiting" ? state.gate : undefined);

const mayDecide = (by: Person, asked: readonly string[]): boolean =>
  by.mayAll || asked.length === 0 || asked.some((one) => one === by.name || by.roles.includes(one));

/** What agents were told to give back. */
type Taken = {
  /** The segments that start nothing any more. */
  readonly segments: ReadonlySet<string>;
  /** Of their steps those that were begun before. */
  readonly begun: ReadonlySet<string>;
  /** Of these the ones that were ended. */
  readonly cancelled: ReadonlySet<string>;
};
const nothingTaken: Taken = { segments: new Set(), begun: new Set(), cancelled: new Set() };

/**
 * A step run as it is once its segment was drained: what had not begun is nobody's. What was begun and ended again before
 * the agent had told of it counts as a try: its words come too late.
 */
function unheld(row: StoredStep, { segments, begun, cancelled }: Taken): StoredStep {
  if (row.segmentId === null || !segments.has(row.segmentId) || row.state.status !== "waiting") return row;
  if (cancelled.has(row.name)) return { ...row, segmentId: null, attempt: row.attempt + 1 };
  return begun.has(row.name) ? row : { ...row, segmentId: null };
}

const triesOf = (row: StoredStep | undefined) => (row ? { attempt: row.attempt, base: row.attempt } : {});
