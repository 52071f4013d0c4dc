import { type ArtifactAddress, parseReference } from "@fuseml/core/artifact/address";
import { exactly, parsePattern } from "@fuseml/core/artifact/pattern";
import { parseDuration } from "@fuseml/core/duration";
import { failure } from "@fuseml/core/errors";
import { suggest } from "@fuseml/core/nearest";
import { redactor } from "@fuseml/core/redact";
import { giveOutputs } from "@fuseml/core/run/complete";
import { type ForeseenStep, foresee } from "@fuseml/core/run/foresee";
import { stepGraph } from "@fuseml/core/run/graph";
import { rowsNamed, takenOver } from "@fuseml/core/run/intervene";
import { type PinnedInputs, specify } from "@fuseml/core/run/spec";
import { isRunEnded, outputsOf } from "@fuseml/core/run/state";
import type { WorkflowDefinition } from "@fuseml/core/workflow/definition";
import { formatTemplate, isExtension, substitute } from "@fuseml/core/workflow/expression";
import { isArtifactInput } from "@fuseml/core/workflow/input";
import { encodeTime } from "ulid";
import type { CodesetService } from "../codesets/service.ts";
import type { ExtensionResolver } from "../extensions/service.ts";
import type { Clock } from "../platform/clock.ts";
import type { Hub } from "../platform/events/hub.ts";
import type { Store } from "../state/store.ts";
import type { StoredWorkflow } from "../workflows/repository.ts";
import type { Engine } from "./engine.ts";
import type { StoredEvent } from "./event-repository.ts";
import type { Launcher } from "./launcher.ts";
import type { RunFilter, StoredAttempt, StoredRun, StoredStep } from "./records.ts";
import type { Reuse } from "./reuse.ts";
import { runSubject } from "./subjects.ts";
import type { WorkloadAgent } from "./workload-agent.ts";

export type RunDetail = {
  readonly run: StoredRun;
  readonly workflow: StoredWorkflow | undefined;
  readonly steps: readonly StoredStep[];
  /** How many steps there are in all: `steps` may be the first of very many. */
  readonly stepCount: number;
  /** Tries that failed and were followed by another one. */
  readonly attempts: readonly StoredAttempt[];
};

/** How a run is started by hand. */
export type StartOptions = { readonly stepwise?: boolean; readonly noCache?: boolean };

/** A step that would run, with the extension records that it would get. */
export type PlannedStep = ForeseenStep & {
  readonly extensions: StoredStep["extensions"];
  /** Of its agent. */
  readonly zone: string | undefined;
};

/** What a step sees, or would see now. */
export type StepEnvironment = {
  readonly image: string;
  /** Secrets are masked; what is not known yet stands as an expression. */
  readonly variables: Readonly<Record<string, string>>;
};

/** Of a run with more steps than these, the others are read page by page. */
export const stepsShown = 1000;

/** Runs as people and programs use them. */
export class RunService {
  private readonly parts: {
    store: Store;
    engine: Engine;
    launcher: Launcher;
    codesets: CodesetService;
    agents: readonly WorkloadAgent[];
    extensions: ExtensionResolver;
    reuse: Reuse;
    hub: Hub;
    clock: Clock;
  };

  constructor(parts: RunService["parts"]) {
    this.parts = parts;
  }

  /**
   * Starts a run by hand. Inputs are given by name: `code://p/c@ref` or `p/c@ref` for a codeset, text for a scalar.
   * @throws `workflow.not-found`, `run.input-*`, `codeset.*`, `host.image-without-recipe`, `step.matrix-invalid`
   */
  async start(
    workflowName: string,
    inputs: Readonly<Record<string, string>>,
    by: string,
    options: StartOptions = {},
  ): Promise<StoredRun> {
    const { store, launcher } = this.parts;
    const { workflow, artifacts, values } = await this.bind(workflowName, inputs);
    const project = Object.values(artifacts)[0]?.project ?? "";
    return store.transaction(async (unit) => {
      const cause = { type: "manual", by } as const;
      const run = await launcher.launch(unit, { workflow, project, artifacts, values, cause, ...options });
      if (!run) throw new Error("a run without a match key was refused");
      // an image that nothing here can run is refused before the run exists
      const steps = await this.foreseen(workflow.definition, run.pins);
      const refused = steps.find((step) => step.refused);
      if (refused?.refused) throw refused.refused;
      return run;
    });
  }

  /** What a run would do, without starting it. @throws as `start` */
  async plan(workflowName: string, inputs: Readonly<Record<string, string>>): Promise<readonly PlannedStep[]> {
    const { workflow, artifacts, values } = await this.bind(workflowName, inputs);
    const { store, launcher, extensions, reuse } = this.parts;
    const project = Object.values(artifacts)[0]?.project ?? "";
    const pins = await launcher.pin(store.read, workflow, artifacts, values);
    const steps = await foresee(stepGraph(workflow.definition), pins, this.parts.agents, async (step) => {
      const { choices } = await extensions.forStep(step, { project });
      const key = await reuse.keyOf(step, choices);
      const answer = await reuse.find({ workflow: workflow.name, project }, step, key);
      return answer.hit
        ? { hit: true, run: answer.entry.runId, outputs: answer.entry.outputs }
        : { hit: false, because: answer.because };
    });
    return Promise.all(
      steps.map(async (step) => ({
        ...step,
        extensions: (await extensions.forStep(step.spec, { project })).choices,
        zone: this.parts.agents.find((agent) => agent.name === step.agent)?.zone,
      })),
    );
  }

  /** The image and the variables of a step, secrets masked. @throws `run.not-found`, `run.step-not-found` */
  async environment(id: string, name: string): Promise<StepEnvironment> {
    const { store, engine, extensions } = this.parts;
    const { run, steps } = await this.get(id);
    const [row] = rowsNamed(steps, name);
    const { graph } = await engine.definitions.of(store.read, run);
    const node = row && graph.get(row.step);
    if (!node) throw failure("run.step-not-found", { step: name, hint: "" });
    const known = await store.read.runs.endedStates(run.id, [...new Set(node.uses.map(({ step }) => step))]);
    const spec = giveOutputs(
      specify(node.definition, run.pins, {
        name: row.name,
        attempt: row.attempt,
        ...(row.combination ? { combination: row.combination } : {}),
      }),
      new Map(known.map((of) => [of.name, outputsOf(of.state) ?? {}])),
    );
    const resolved = await extensions.forStep(spec, { project: run.project });
    const mask = redactor(resolved.secrets);
    const variables: Record<string, string> = Object.assign({}, ...Object.values(resolved.variables));
    for (const { name: of, value } of spec.variables) {
      const filled = substitute(value, (reference) =>
        isExtension(reference) ? resolved.variables[reference.extension]?.[reference.variable] : undefined,
      );
      variables[of] = formatTemplate(filled);
    }
    const masked = Object.entries(variables).map(([of, value]) => [of, mask(value)] as const);
    return { image: formatTemplate(spec.image), variables: Object.fromEntries(masked) };
  }

  private foreseen(definition: WorkflowDefinition, pins: PinnedInputs): Promise<readonly ForeseenStep[]> {
    return foresee(stepGraph(definition), pins, this.parts.agents, async () => ({ hit: false, because: "" }));
  }

  /**
   * Starts a run like another one that takes over what that one has finished and what does not depend on `from`.
   * @param given other inputs, by name; a new definition, checked
   * @throws `run.step-not-found`, `run.input-*`, `codeset.*`
   */
  async fork(
    id: string,
    from: string,
    given: { inputs: Readonly<Record<string, string>>; definition?: WorkflowDefinition },
    by: string,
  ): Promise<StoredRun> {
    const { store, launcher, engine } = this.parts;
    const { run } = await this.get(id);
    const original = await engine.definitions.of(store.read, run);
    const definition = given.definition ?? run.definition ?? undefined;
    const workflow = await store.read.workflows.getVersion(run.workflow, run.workflowVersion);
    if (!workflow) throw failure("workflow.not-found", { name: run.workflow });
    const bound = await this.bindTo({ ...workflow, definition: definition ?? workflow.definition }, given.inputs, run);
    const rows = await store.read.runs.steps(run.id);
    const taken = takenOver(original.graph, rows, from) as readonly StoredStep[];
    return store.transaction(async (unit) => {
      const forked = await launcher.launch(unit, {
        workflow,
        project: run.project,
        ...bound,
        cause: { type: "forked", run: run.id, from, by },
        ...(definition ? { definition } : {}),
        takenOver: new Map(taken.map((row) => [row.name, { ...row, state: asReused(run.id, row) }])),
      });
      if (!forked) throw new Error("a run without a match key was refused");
      return forked;
    });
  }

  private async bind(workflowName: string, inputs: Readonly<Record<string, string>>) {
    const workflow = await this.parts.store.read.workflows.get(workflowName);
    if (!workflow) throw failure("workflow.not-found", { name: workflowName });
    return { workflow, ...(await this.bindTo(workflow, inputs)) };
  }

  /** What the inputs of a workflow are: given, or as in another run, or as it is assigned. */
  private async bindTo(
    workflow: StoredWorkflow,
    inputs: Readonly<Record<string, string>>,
    like?: StoredRun,
  ): Promise<{ artifacts: Record<string, ArtifactAddress>; values: Record<string, string> }> {
    const declared = workflow.definition.inputs ?? [];
    const unknown = Object.keys(inputs).find((name) => !declared.some((input) => input.name === name));
    if (unknown !== undefined) {
      const names = declared.map((input) => input.name);
      const hint = suggest(unknown, names, "inputs");
      throw failure("run.input-unknown", { workflow: workflow.name, name: unknown, hint });
    }
    const artifacts: Record<string, ArtifactAddress> = {};
    const values: Record<string, string> = {};
    for (const input of declared) {
      const text = inputs[input.name];
      const before = like?.pins.codesets[input.name] ?? like?.pins.models[input.name]?.address;
      if (!isArtifactInput(input.type)) {
        const value = text ?? like?.pins.values[input.name];
        if (value !== undefined) values[input.name] = value;
      } else if (text === undefined && before) artifacts[input.name] = before;
      else artifacts[input.name] = await this.pin(workflow, input.name, input.type, text);
    }
    return { artifacts, values };
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

  /** Newest first. `since` is an instant, or a duration before now. @throws `request.invalid` */
  list({ since, ...filter }: Omit<RunFilter, "from"> & { since?: string | undefined }): Promise<StoredRun[]> {
    const from = since === undefined ? undefined : firstIdSince(since, this.parts.clock());
    return this.parts.store.read.runs.list({ ...filter, from });
  }

  /** By its id or a beginning of it that no other run has. @throws `run.not-found` */
  async get(id: string): Promise<RunDetail> {
    const { read } = this.parts.store;
    const run =
      (await read.runs.get(id)) ??
      (id.length >= 4 ? await read.runs.findByPrefix(id.startsWith("run_") ? id : `run_${id}`) : undefined);
    if (!run) throw failure("run.not-found", { name: id });
    const steps = await read.runs.steps(run.id, { after: -1, limit: stepsShown });
    const counts = steps.length < stepsShown ? undefined : await read.runs.countSteps(run.id);
    return {
      run,
      workflow: await read.workflows.getVersion(run.workflow, run.workflowVersion),
      steps,
      stepCount: counts
        ? [...counts.values()].flatMap((of) => Object.values(of)).reduce((a, b) => a + b, 0)
        : steps.length,
      attempts: await read.runs.attempts(run.id),
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

  /** A page of the steps of a run, in order. */
  async steps(id: string, page: { after: number; limit: number }): Promise<readonly StoredStep[]> {
    const { run } = await this.get(id);
    return this.parts.store.read.runs.steps(run.id, page);
  }
}

const asReused = (runId: string, { name, state }: StoredStep): StoredStep["state"] =>
  state.status === "succeeded" ? { ...state, reused: state.reused ?? { run: runId, step: name } } : state;

/** Ids sort by time: no run since an instant has an id before this one. */
function firstIdSince(since: string, now: number): string {
  const ago = parseDuration(since);
  const at = ago === undefined ? Date.parse(since) : now - ago;
  if (!Number.isFinite(at)) {
    throw failure("request.invalid", {
      message: `"${since}" is no moment`,
      hint: "write an instant as 2026-01-31T12:00:00Z, or how long ago: 2h, 3d",
    });
  }
  return `run_${encodeTime(Math.max(0, Math.floor(at)), 10).toLowerCase()}`;
}
