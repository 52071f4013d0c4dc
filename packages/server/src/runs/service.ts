import { type ArtifactAddress, parseReference } from "@fuseml/core/artifact/address";
import { exactly, parsePattern } from "@fuseml/core/artifact/pattern";
import { failure } from "@fuseml/core/errors";
import { suggest } from "@fuseml/core/nearest";
import { plan } from "@fuseml/core/run/plan";
import { pinSteps } from "@fuseml/core/run/spec";
import { isEnded, isRunEnded } from "@fuseml/core/run/state";
import { isArtifactInput } from "@fuseml/core/workflow/input";
import type { CodesetService } from "../codesets/service.ts";
import type { Hub } from "../platform/events/hub.ts";
import type { Store } from "../state/store.ts";
import type { StoredWorkflow } from "../workflows/repository.ts";
import { type Engine, runSubject } from "./engine.ts";
import type { StoredEvent } from "./event-repository.ts";
import type { Launcher } from "./launcher.ts";
import type { RunFilter, StoredRun, StoredStep } from "./repository.ts";
import type { LogChunk, WorkloadAgent } from "./workload-agent.ts";

export type RunDetail = {
  readonly run: StoredRun;
  readonly workflow: StoredWorkflow | undefined;
  readonly steps: readonly StoredStep[];
};

/** Runs as people and programs use them. */
export class RunService {
  private readonly parts: {
    store: Store;
    engine: Engine;
    launcher: Launcher;
    codesets: CodesetService;
    agents: readonly WorkloadAgent[];
    hub: Hub;
  };

  constructor(parts: RunService["parts"]) {
    this.parts = parts;
  }

  /**
   * Starts a run by hand. Inputs are given by name: `code://p/c@ref` or `p/c@ref` for a codeset, text for a scalar.
   * @throws `workflow.not-found`, `run.input-*`, `codeset.*`, `host.image-without-recipe`
   */
  async start(workflowName: string, inputs: Readonly<Record<string, string>>, by: string): Promise<StoredRun> {
    const { store, launcher, agents } = this.parts;
    const workflow = await store.read.workflows.get(workflowName);
    if (!workflow) throw failure("workflow.not-found", { name: workflowName });
    const declared = workflow.definition.inputs ?? [];
    const unknown = Object.keys(inputs).find((name) => !declared.some((input) => input.name === name));
    if (unknown !== undefined) {
      const hint = suggest(
        unknown,
        declared.map((input) => input.name),
        "inputs",
      );
      throw failure("run.input-unknown", { workflow: workflowName, name: unknown, hint });
    }
    const artifacts: Record<string, ArtifactAddress> = {};
    const values: Record<string, string> = {};
    for (const input of declared) {
      const text = inputs[input.name];
      if (isArtifactInput(input.type)) artifacts[input.name] = await this.pin(workflow, input.name, input.type, text);
      else if (text !== undefined) values[input.name] = text;
    }
    const project = Object.values(artifacts)[0]?.project ?? "";
    return store.transaction(async (unit) => {
      const run = await launcher.launch(unit, { workflow, project, artifacts, values, cause: { type: "manual", by } });
      if (!run) throw new Error("a run without a match key was refused");
      // an image that nothing here can run is refused before the run exists
      const states = new Map((await unit.runs.steps(run.id)).map((step) => [step.name, step.state]));
      const planned = plan({ runId: run.id, steps: pinSteps(workflow.definition, run.pins), states, agents });
      if (!planned.ok) throw planned.reason;
      return run;
    });
  }

  private async pin(
    workflow: StoredWorkflow,
    name: string,
    type: "codeset" | "model",
    text: string | undefined,
  ): Promise<ArtifactAddress> {
    const { store, codesets } = this.parts;
    const kind = type === "codeset" ? "code" : "model";
    const given = text ?? (await this.onlyBinding(workflow.name, name));
    if (given === undefined) {
      throw failure("run.input-missing", {
        workflow: workflow.name,
        name,
        flag: type === "codeset" ? "--codeset PROJECT/CODESET" : `--input ${name}=model://PROJECT/NAME`,
      });
    }
    const reference = parseReference(given.includes("://") ? given : `${kind}://${given}`);
    if (reference.kind !== kind) throw failure("run.input-type", { name, type, value: given });
    if (kind === "code") return codesets.resolve(reference.project, reference.name, reference.version);
    const artifact = reference.version
      ? await store.read.artifacts.get({ ...reference, version: reference.version })
      : await store.read.artifacts.newest("model", reference.project, reference.name);
    if (!artifact) throw failure("artifact.not-found", { name: given });
    return artifact.address;
  }

  /** What the input is bound to, when all assignments of the workflow agree on one thing. */
  private async onlyBinding(workflow: string, input: string): Promise<string | undefined> {
    const assignments = await this.parts.store.read.assignments.list({ workflow });
    const bindings = new Set(
      assignments.map((assignment) => assignment.bindings[input]).filter((binding) => binding !== undefined),
    );
    const [only, another] = bindings;
    return only !== undefined && another === undefined && exactly(parsePattern(only)) ? only : undefined;
  }

  list(filter: RunFilter): Promise<StoredRun[]> {
    return this.parts.store.read.runs.list(filter);
  }

  /** By its id or a beginning of it that no other run has. @throws `run.not-found` */
  async get(id: string): Promise<RunDetail> {
    const { read } = this.parts.store;
    const run =
      (await read.runs.get(id)) ??
      (id.length >= 4 ? await read.runs.findByPrefix(id.startsWith("run_") ? id : `run_${id}`) : undefined);
    if (!run) throw failure("run.not-found", { name: id });
    return {
      run,
      workflow: await read.workflows.getVersion(run.workflow, run.workflowVersion),
      steps: await read.runs.steps(run.id),
    };
  }

  async cancel(id: string, by: string): Promise<RunDetail> {
    const { run } = await this.get(id);
    await this.parts.engine.cancel(run.id, by);
    return this.get(run.id);
  }

  /** The events of a run after `seq`, and with `follow` those to come until it has ended. */
  async *events(
    id: string,
    options: { after: number; follow: boolean; signal: AbortSignal },
  ): AsyncIterable<StoredEvent> {
    const { run } = await this.get(id);
    const { store, hub } = this.parts;
    let seq = options.after;
    const read = async () => {
      const ended = isRunEnded((await store.read.runs.get(run.id))?.status ?? "failed");
      const items = await store.read.events.after(runSubject(run.id), seq);
      seq = items.at(-1)?.seq ?? seq;
      return { items, done: ended || !options.follow };
    };
    yield* hub.follow(runSubject(run.id), read, options.signal);
  }

  /** The log of a run, step by step, or of one step. With `follow`, until the run has ended. @throws `run.not-found`, or when there is no such step */
  async logs(
    id: string,
    options: { step?: string | undefined; from: number; follow: boolean; signal: AbortSignal },
  ): Promise<AsyncIterable<LogChunk & { step: string }>> {
    const { run, steps } = await this.get(id);
    if (options.step !== undefined && !steps.some((step) => step.name === options.step)) {
      throw failure("request.invalid", {
        message: `run ${run.id} has no step "${options.step}"`,
        hint: suggest(
          options.step,
          steps.map((step) => step.name),
          "steps",
        ),
      });
    }
    const chosen = steps.filter((step) => options.step === undefined || step.name === options.step);
    return this.logsOf(run, chosen, options);
  }

  private async *logsOf(
    run: StoredRun,
    steps: readonly StoredStep[],
    options: { step?: string | undefined; from: number; follow: boolean; signal: AbortSignal },
  ): AsyncIterable<LogChunk & { step: string }> {
    const { store, hub, agents } = this.parts;
    for (const { name } of steps) {
      // a step that has not started has no log: wait for it when following
      const started = async () => {
        const present = (await store.read.runs.steps(run.id)).find((step) => step.name === name);
        const done = present?.state.status !== "waiting" || !options.follow;
        return { items: done ? [present?.state] : [], done };
      };
      for await (const state of hub.follow(runSubject(run.id), started, options.signal)) {
        if (!state || state.status === "waiting" || state.status === "skipped") continue;
        const segments = await store.read.runs.segments(run.id);
        const of = segments.find(({ segment }) => segment.steps.some((step) => step.name === name))?.segment;
        const agent = agents.find((candidate) => candidate.name === of?.agent);
        if (!of || !agent) continue;
        const reading = {
          from: options.step === undefined ? 0 : options.from,
          follow: options.follow && !isEnded(state),
          signal: options.signal,
        };
        for await (const chunk of agent.logs(of.id, name, reading)) yield { ...chunk, step: name };
      }
      if (options.signal.aborted) return;
    }
  }
}
