import { type ArtifactAddress, formatAddress } from "@fuseml/core/artifact/address";
import { match, type Published, runKey } from "@fuseml/core/assignment/match";
import { durationMs } from "@fuseml/core/duration";
import { failure } from "@fuseml/core/errors";
import { expand, stepLimit } from "@fuseml/core/run/matrix";
import { initialRows } from "@fuseml/core/run/picture";
import { inputValue, type PinnedInputs } from "@fuseml/core/run/spec";
import type { WorkflowDefinition } from "@fuseml/core/workflow/definition";
import { bindScalars } from "@fuseml/core/workflow/input";
import type { Artifact } from "../artifacts/repository.ts";
import { type Clock, instant } from "../platform/clock.ts";
import type { IdSource } from "../platform/ids.ts";
import type { Unit } from "../state/store.ts";
import type { StoredAssignment } from "../workflows/assignment-repository.ts";
import type { StoredWorkflow } from "../workflows/repository.ts";
import type { Journal } from "./journal.ts";
import type { RunCause, StoredRun, StoredStep } from "./records.ts";
import { newStep } from "./sheet.ts";
import { runSubject } from "./subjects.ts";

export type LauncherParts = {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly journal: Journal;
  /** The replica that drives what is launched here. */
  readonly replica: string;
  /** Called after the commit. */
  readonly launched: (runId: string) => void;
};

/** What a run is started with, beside what is declared. */
export type LaunchRequest = {
  readonly workflow: StoredWorkflow;
  readonly project: string;
  readonly artifacts: Readonly<Record<string, ArtifactAddress>>;
  readonly values: Readonly<Record<string, string>>;
  readonly cause: RunCause;
  readonly assignment?: StoredAssignment;
  readonly matchKey?: string;
  readonly stepwise?: boolean;
  readonly noCache?: boolean;
  /** In place of the workflow's, for this run only. */
  readonly definition?: WorkflowDefinition;
  /** Step runs that are over already, by their names: a fork takes them over. */
  readonly takenOver?: ReadonlyMap<string, StoredStep>;
};

/** Puts new runs into the database: by hand, by assigning, by publishing. */
export class Launcher {
  private readonly parts: LauncherParts;
  constructor(parts: LauncherParts) {
    this.parts = parts;
  }

  /** Starts a run of every assignment that accepts the artifact. Safe to call again for the same artifact. */
  async onPublished(unit: Unit, artifact: Artifact, changed: readonly string[] | undefined): Promise<void> {
    const published: Published = {
      address: artifact.address,
      labels: artifact.labels,
      ...(changed ? { changed } : {}),
    };
    for (const assignment of await unit.assignments.list({})) {
      await this.consider(unit, published, assignment, {
        type: "published",
        assignment: assignment.id,
        artifact: formatAddress(artifact.address),
      });
    }
  }

  /** Starts the first runs of a new assignment: one for the present version of each codeset that it accepts. */
  async onAssigned(unit: Unit, assignment: StoredAssignment): Promise<readonly StoredRun[]> {
    const started: StoredRun[] = [];
    for (const codeset of await unit.codesets.list({})) {
      const artifact = await headOf(unit, codeset.project, codeset.name);
      if (!artifact) continue;
      const published = { address: artifact.address, labels: codeset.labels };
      const run = await this.consider(unit, published, assignment, { type: "assigned", assignment: assignment.id });
      if (run) started.push(run);
    }
    return started;
  }

  /** Starts a run of an assignment because its moment has come. @returns nothing when an input has nothing to be bound to yet */
  async onMoment(unit: Unit, assignment: StoredAssignment, moment: string): Promise<StoredRun | undefined> {
    const workflow = await unit.workflows.get(assignment.workflow);
    if (!workflow) return undefined;
    const heads = await headsFor(unit, assignment);
    const artifacts: Record<string, ArtifactAddress> = {};
    for (const [input, binding] of Object.entries(assignment.bindings)) {
      const head = heads.get(binding);
      if (!head) return undefined;
      artifacts[input] = head;
    }
    return this.launch(unit, {
      workflow,
      project: assignment.project,
      artifacts,
      values: assignment.values,
      cause: { type: "scheduled", assignment: assignment.id, moment },
      assignment,
      matchKey: `${assignment.id} at ${moment}`,
    });
  }

  private async consider(
    unit: Unit,
    published: Published,
    assignment: StoredAssignment,
    cause: RunCause,
  ): Promise<StoredRun | undefined> {
    const workflow = await unit.workflows.get(assignment.workflow);
    if (!workflow) return undefined;
    const heads = await headsFor(unit, assignment);
    const found = match(published, assignment, workflow.definition, (kind, project, name) =>
      heads.get(`${kind}://${project}/${name}`),
    );
    if (!found.starts) return undefined;
    return this.launch(unit, {
      workflow,
      // a wildcard assignment belongs to no project: its runs belong to what started them
      project: assignment.project || published.address.project,
      artifacts: found.pins,
      values: assignment.values,
      cause,
      assignment,
      matchKey: runKey(assignment.id, found.pins),
    });
  }

  /**
   * Adds a run. @returns nothing when a run with the match key is there already
   * @throws `run.input-*` when the values do not fit the workflow's inputs, `step.matrix-invalid`
   */
  async launch(unit: Unit, request: LaunchRequest): Promise<StoredRun | undefined> {
    const { clock, ids, journal, launched, replica } = this.parts;
    const { workflow, assignment, cause } = request;
    const definition = request.definition ?? workflow.definition;
    const pins = await pinInputs(unit, { ...workflow, definition }, request.artifacts, request.values);
    const created = instant(clock);
    const newer = assignment?.newer ?? "parallel";
    const run: StoredRun = {
      id: ids("run"),
      workflow: workflow.name,
      workflowVersion: workflow.version,
      project: request.project,
      assignmentId: assignment?.id ?? null,
      matchKey: request.matchKey ?? null,
      cause,
      pins,
      status: "pending",
      error: null,
      outputs: {},
      created,
      started: null,
      ended: null,
      owner: replica,
      deadline: deadlineOf(definition, clock()),
      stepwise: request.stepwise ?? false,
      definition: request.definition ?? null,
      queueKey: assignment && newer !== "parallel" ? queueKey(assignment.id, request.artifacts) : null,
      queued: newer === "queue",
      cancelRequested: null,
      noCache: request.noCache ?? false,
    };
    const steps = firstSteps(definition, pins, run.id, request.takenOver);
    if (!(await unit.runs.add(run))) return undefined;
    await unit.runs.addSteps(steps);
    for (const address of [
      ...Object.values(pins.codesets),
      ...Object.values(pins.models).map((model) => model.address),
    ]) {
      await unit.artifacts.link({
        source: formatAddress(address),
        target: runSubject(run.id),
        relation: "input",
        created,
      });
    }
    if (cause.type === "forked") {
      const source = runSubject(cause.run);
      await unit.artifacts.link({ source, target: runSubject(run.id), relation: "forked", created });
    }
    await journal.write(unit, run.id, "run.created", { workflow: run.workflow, cause });
    await this.makeWay(unit, run, newer);
    unit.afterCommit(() => launched(run.id));
    return run;
  }

  /** The inputs of a run as it would be launched. @throws `run.input-*` */
  pin(
    repositories: Pick<Unit, "artifacts">,
    workflow: StoredWorkflow,
    artifacts: Readonly<Record<string, ArtifactAddress>>,
    values: Readonly<Record<string, string>>,
  ): Promise<PinnedInputs> {
    return pinInputs(repositories, workflow, artifacts, values);
  }

  /** What an assignment's policy says about runs of older versions. */
  private async makeWay(unit: Unit, run: StoredRun, newer: StoredAssignment["newer"]): Promise<void> {
    if (run.queueKey === null) return;
    for (const other of await unit.runs.active({ queueKey: run.queueKey })) {
      // of those that wait for their turn only the newest is kept
      const gives = newer === "cancel" || other.started === null;
      const first = (await unit.runs.active({ queueKey: run.queueKey }))[0];
      if (other.id === run.id || !gives || (newer === "queue" && other.id === first?.id)) continue;
      await unit.runs.update(other.id, { cancelRequested: `the newer run ${run.id}` });
      unit.afterCommit(() => this.parts.launched(other.id));
    }
  }
}

const deadlineOf = ({ timeout }: WorkflowDefinition, now: number): string | null =>
  timeout === undefined ? null : new Date(now + durationMs(timeout)).toISOString();

/** The step runs of a new run. A matrix whose combinations depend on outputs has one, in the place of all. */
export function firstSteps(
  definition: WorkflowDefinition,
  pins: PinnedInputs,
  runId: string,
  takenOver: ReadonlyMap<string, StoredStep> = new Map(),
): readonly StoredStep[] {
  const steps = definition.steps.flatMap((step, index) => {
    const taken = [...takenOver.values()].filter((row) => row.step === step.name);
    const expansion = step.matrix ? expand(step.matrix, (reference) => inputValue(reference, pins)) : undefined;
    if (expansion?.type === "invalid" && taken.length === 0) {
      throw failure("step.matrix-invalid", { step: step.name, reason: expansion.message });
    }
    const known = expansion?.type === "combinations" && expansion.combinations.length > 0;
    const rows = initialRows(step.name, known ? expansion.combinations : null);
    const whole = taken.length > 0 && (rows.every((row) => takenOver.has(row.name)) || !known);
    if (!whole) return rows.map((row) => newStep(runId, index, row));
    return taken.map((row) => ({ ...newStep(runId, index, row), extensions: row.extensions }));
  });
  if (steps.length > stepLimit) {
    const reason = `the run would have ${steps.length} step runs; ${stepLimit} is the limit`;
    throw failure("step.matrix-invalid", { step: definition.name, reason });
  }
  return steps;
}

/** Runs of one assignment for the same things, whatever their versions. */
const queueKey = (assignmentId: string, artifacts: Readonly<Record<string, ArtifactAddress>>): string =>
  [
    assignmentId,
    ...Object.entries(artifacts)
      .map(([input, { kind, project, name }]) => `${input}=${kind}://${project}/${name}`)
      .sort(),
  ].join(" ");

async function pinInputs(
  unit: Pick<Unit, "artifacts">,
  workflow: StoredWorkflow,
  artifacts: Readonly<Record<string, ArtifactAddress>>,
  values: Readonly<Record<string, string>>,
): Promise<PinnedInputs> {
  const codesets: Record<string, ArtifactAddress> = {};
  const models: Record<string, { address: ArtifactAddress; location: string }> = {};
  for (const [name, address] of Object.entries(artifacts)) {
    if (address.kind === "model")
      models[name] = { address, location: (await unit.artifacts.get(address))?.location ?? "" };
    else codesets[name] = address;
  }
  return { codesets, models, values: bindScalars(workflow.definition, values) };
}

/** The tag of a codeset's newest commit on its default branch. */
export const headTag = "head";

/** The head of a codeset's default branch, unless nothing but the first, empty commit is there. */
export const headOf = (unit: Pick<Unit, "artifacts">, project: string, name: string): Promise<Artifact | undefined> =>
  unit.artifacts.tagged("code", project, name, headTag);

async function headsFor(unit: Unit, assignment: StoredAssignment): Promise<Map<string, ArtifactAddress>> {
  const heads = new Map<string, ArtifactAddress>();
  for (const binding of Object.values(assignment.bindings)) {
    const [, kind, project, name] = /^(code|model):\/\/([^/]+)\/([^/]+)$/.exec(binding) ?? [];
    if (!kind || !project || !name || name === "*") continue;
    const artifact =
      kind === "code" ? await headOf(unit, project, name) : await unit.artifacts.newest("model", project, name);
    if (artifact) heads.set(binding, artifact.address);
  }
  return heads;
}
