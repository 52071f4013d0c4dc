import { type ArtifactAddress, formatAddress } from "@fuseml/core/artifact/address";
import { match, type Published, runKey } from "@fuseml/core/assignment/match";
import type { PinnedInputs } from "@fuseml/core/run/spec";
import { bindScalars } from "@fuseml/core/workflow/input";
import type { Artifact } from "../artifacts/repository.ts";
import { type Clock, instant } from "../platform/clock.ts";
import type { IdSource } from "../platform/ids.ts";
import type { Unit } from "../state/store.ts";
import type { StoredAssignment } from "../workflows/assignment-repository.ts";
import type { StoredWorkflow } from "../workflows/repository.ts";
import { runSubject } from "./engine.ts";
import type { RunCause, StoredRun } from "./repository.ts";

export type LauncherParts = {
  readonly clock: Clock;
  readonly ids: IdSource /** Called after the commit. */;
  readonly launched: (runId: string) => void;
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
      assignmentId: assignment.id,
      matchKey: runKey(assignment.id, found.pins),
    });
  }

  /**
   * Adds a run. @returns nothing when a run with the match key is there already
   * @throws `run.input-*` when the values do not fit the workflow's inputs
   */
  async launch(
    unit: Unit,
    request: {
      workflow: StoredWorkflow;
      project: string;
      artifacts: Readonly<Record<string, ArtifactAddress>>;
      values: Readonly<Record<string, string>>;
      cause: RunCause;
      assignmentId?: string;
      matchKey?: string;
    },
  ): Promise<StoredRun | undefined> {
    const { clock, ids, launched } = this.parts;
    const pins = await pinInputs(unit, request.workflow, request.artifacts, request.values);
    const created = instant(clock);
    const run: StoredRun = {
      id: ids("run"),
      workflow: request.workflow.name,
      workflowVersion: request.workflow.version,
      project: request.project,
      assignmentId: request.assignmentId ?? null,
      matchKey: request.matchKey ?? null,
      cause: request.cause,
      pins,
      status: "pending",
      error: null,
      outputs: {},
      created,
      started: null,
      ended: null,
    };
    const steps = request.workflow.definition.steps.map((step, ordinal) => ({
      runId: run.id,
      ordinal,
      name: step.name,
      state: { status: "waiting" } as const,
      extensions: {},
    }));
    if (!(await unit.runs.add(run, steps))) return undefined;
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
    await unit.events.append({
      subject: runSubject(run.id),
      type: "run.created",
      data: { workflow: run.workflow, cause: run.cause },
      time: created,
    });
    unit.afterCommit(() => launched(run.id));
    return run;
  }
}

async function pinInputs(
  unit: Unit,
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
