import { createHash } from "node:crypto";
import { exactly, formatPattern, parsePattern } from "@fuseml/core/artifact/pattern";
import { nextMoment as nextMomentOf, whyInvalid } from "@fuseml/core/assignment/schedule";
import type { Diagnostic } from "@fuseml/core/diagnostic";
import { failure, workflowInvalid } from "@fuseml/core/errors";
import { applyRunnable } from "@fuseml/core/runnable/apply";
import type { KnownRunnable } from "@fuseml/core/workflow/catalogue";
import { checkWorkflow } from "@fuseml/core/workflow/check";
import type { Schedule, WorkflowDefinition } from "@fuseml/core/workflow/definition";
import { bindScalars, isArtifactInput } from "@fuseml/core/workflow/input";
import { parseWorkflow, type SourceMap, validateWorkflow } from "@fuseml/core/workflow/parse";
import type { ExtensionResolver } from "../extensions/service.ts";
import { type Clock, instant } from "../platform/clock.ts";
import type { IdSource } from "../platform/ids.ts";
import type { Launcher } from "../runs/launcher.ts";
import type { StoredRun } from "../runs/repository.ts";
import type { Store } from "../state/store.ts";
import type { NewerPolicy, StoredAssignment } from "./assignment-repository.ts";
import type { StoredWorkflow } from "./repository.ts";

/** Workflows, their versions and their assignments. */
export class WorkflowService {
  private readonly parts: {
    store: Store;
    extensions: ExtensionResolver;
    runnables: { find(reference: string): Promise<KnownRunnable | undefined> };
    launcher: Launcher;
    clock: Clock;
    ids: IdSource;
    /** Told that a schedule is new. */
    scheduled: () => void;
  };

  constructor(parts: WorkflowService["parts"]) {
    this.parts = parts;
  }

  /** Everything that is wrong with a definition (YAML text, or JSON already parsed), as this server sees it. */
  async check(given: unknown): Promise<{ definition?: WorkflowDefinition; diagnostics: readonly Diagnostic[] }> {
    let definition: WorkflowDefinition;
    let source: SourceMap | undefined;
    if (typeof given === "string") {
      const parsed = parseWorkflow(given);
      if (!parsed.ok) return { diagnostics: parsed.error };
      ({ definition, source } = parsed.value);
    } else {
      const checked = validateWorkflow(given);
      if (!checked.ok) return { diagnostics: checked.error };
      definition = checked.value;
    }
    const records = await this.parts.extensions.catalogue();
    const runnables = await this.runnablesOf(definition);
    const diagnostics = checkWorkflow(definition, {
      ...(source ? { source } : {}),
      catalogue: {
        whyUnresolved: records.whyUnresolved,
        runnable: (reference) =>
          runnables.get(reference) ?? {
            unknown: `there is no runnable "${reference}"`,
            hint: "written as runnable://project/name[/version]; list them: fuseml runnable list",
          },
      },
    });
    return { definition: withRunnables(definition, runnables), diagnostics };
  }

  /** The runnables that steps name, as far as they are known. */
  private async runnablesOf(definition: WorkflowDefinition): Promise<ReadonlyMap<string, KnownRunnable>> {
    const found = new Map<string, KnownRunnable>();
    for (const { runnable } of definition.steps) {
      const known = runnable === undefined ? undefined : await this.parts.runnables.find(runnable);
      if (runnable !== undefined && known) found.set(runnable, known);
    }
    return found;
  }

  /** @throws `workflow.invalid`, `workflow.exists` */
  async create(given: unknown): Promise<StoredWorkflow> {
    const definition = await this.valid(given);
    return this.parts.store.transaction(async (unit) => {
      if (await unit.workflows.get(definition.name)) throw failure("workflow.exists", { name: definition.name });
      // runs of a workflow of this name that was removed keep their versions
      const workflow = this.version(definition, (await unit.workflows.lastVersion(definition.name)) + 1);
      await unit.workflows.save(workflow);
      return workflow;
    });
  }

  /** A new version, unless nothing changed. Runs keep the version that they started with. @throws `workflow.invalid`, `workflow.not-found` */
  async update(name: string, given: unknown): Promise<StoredWorkflow> {
    const definition = await this.valid(given);
    if (definition.name !== name)
      throw failure("workflow.name-mismatch", { name, body: definition.name }, { field: "name" });
    return this.parts.store.transaction(async (unit) => {
      const present = await unit.workflows.get(name);
      if (!present) throw failure("workflow.not-found", { name });
      const next = this.version(definition, present.version + 1);
      if (next.digest === present.digest) return present;
      await unit.workflows.save(next);
      return next;
    });
  }

  private async valid(given: unknown): Promise<WorkflowDefinition> {
    const { definition, diagnostics } = await this.check(given);
    if (!definition || diagnostics.length > 0) throw workflowInvalid(diagnostics);
    return definition;
  }

  private version(definition: WorkflowDefinition, version: number): StoredWorkflow {
    const { created: _ignored, ...plain } = definition;
    const digest = `sha256:${createHash("sha256").update(JSON.stringify(plain)).digest("hex")}`;
    return { name: definition.name, version, digest, definition: plain, created: instant(this.parts.clock) };
  }

  list(name?: string): Promise<StoredWorkflow[]> {
    return this.parts.store.read.workflows.list(name);
  }

  /** @throws `workflow.not-found` */
  async get(name: string): Promise<StoredWorkflow> {
    const workflow = await this.parts.store.read.workflows.get(name);
    if (!workflow) throw failure("workflow.not-found", { name });
    return workflow;
  }

  /** Removes the workflow and its assignments. Runs stay. @throws `workflow.not-found` */
  async remove(name: string): Promise<void> {
    if (!(await this.parts.store.transaction((unit) => unit.workflows.remove(name))))
      throw failure("workflow.not-found", { name });
  }

  /**
   * Binds a workflow's artifact inputs to patterns and starts its first runs. The same bindings again change nothing.
   * @param bindings input name → pattern; for the single artifact input of a workflow the name may be empty
   * The same bindings with another policy or schedule change these.
   * @throws `workflow.not-found`, `codeset.not-found`, `assignment.ambiguous`, `run.input-*`, `address.invalid`, `schedule.invalid`
   */
  async assign(
    name: string,
    bindings: Readonly<Record<string, string>>,
    values: Readonly<Record<string, string>>,
    options: { newer?: NewerPolicy | undefined; schedule?: Schedule | undefined; project?: string | undefined } = {},
  ): Promise<{ assignment: StoredAssignment; runs: readonly StoredRun[] }> {
    const workflow = await this.get(name);
    const full = this.completeBindings(workflow.definition, bindings);
    bindScalars(workflow.definition, values);
    const { store, clock, ids, launcher } = this.parts;
    const schedule = options.schedule ?? workflow.definition.schedule ?? null;
    const reason = schedule ? whyInvalid(schedule) : undefined;
    if (schedule && reason !== undefined) throw failure("schedule.invalid", { cron: schedule.cron, reason });
    const nextMoment = schedule ? (nextMomentOf(schedule, instant(clock)) ?? null) : null;
    return store.transaction(async (unit) => {
      let project = options.project ?? "";
      if (schedule) unit.afterCommit(() => this.parts.scheduled());
      for (const pattern of Object.values(full)) {
        const one = exactly(parsePattern(pattern));
        if (pattern.startsWith("code://") && one && !(await unit.codesets.get(one.project, one.name))) {
          throw failure("codeset.not-found", { name: `${one.project}/${one.name}` });
        }
        project ||= parsePattern(pattern).project.replace("*", "");
      }
      const assignment: StoredAssignment = {
        id: ids("asg"),
        workflow: name,
        project,
        bindings: full,
        values,
        created: instant(clock),
        newer: options.newer ?? "parallel",
        schedule,
        nextMoment,
      };
      if (await unit.assignments.add(assignment)) {
        // one that goes by the clock starts with its first moment
        return { assignment, runs: schedule ? [] : await launcher.onAssigned(unit, assignment) };
      }
      const present = this.find(full, await unit.assignments.list({ workflow: name })) ?? assignment;
      const changed = {
        ...(options.newer ? { newer: options.newer } : {}),
        ...(options.schedule ? { schedule, nextMoment } : {}),
      };
      if (Object.keys(changed).length > 0) await unit.assignments.update(present.id, changed);
      return { assignment: { ...present, ...changed }, runs: [] };
    });
  }

  private completeBindings(
    definition: WorkflowDefinition,
    bindings: Readonly<Record<string, string>>,
  ): Record<string, string> {
    const inputs = (definition.inputs ?? []).filter((input) => isArtifactInput(input.type));
    const full: Record<string, string> = {};
    for (const [name, pattern] of Object.entries(bindings)) {
      const kind = parsePattern(pattern).kind === "model" ? "model" : "codeset";
      const fitting = inputs.filter((input) => (name === "" ? input.type === kind : input.name === name));
      const [only, another] = fitting;
      if (!only || another) {
        throw failure("assignment.ambiguous", {
          workflow: definition.name,
          inputs: inputs.map((input) => input.name).join(", ") || "none",
        });
      }
      full[only.name] = formatPattern(parsePattern(pattern));
    }
    const unbound = inputs.find((input) => full[input.name] === undefined);
    if (unbound) {
      throw failure("run.input-missing", {
        workflow: definition.name,
        name: unbound.name,
        flag: `--input ${unbound.name}=code://PROJECT/CODESET`,
      });
    }
    return full;
  }

  private find(
    bindings: Readonly<Record<string, string>>,
    among: readonly StoredAssignment[],
  ): StoredAssignment | undefined {
    return among.find((candidate) =>
      Object.entries(bindings).every(([name, pattern]) => candidate.bindings[name] === pattern),
    );
  }

  /** @throws `workflow.not-found`, `assignment.not-found` */
  async unassign(name: string, project: string, codeset: string): Promise<void> {
    await this.get(name);
    await this.parts.store.transaction(async (unit) => {
      const pattern = `code://${project}/${codeset}`;
      const assignments = await unit.assignments.list({ workflow: name });
      const found = assignments.find((assignment) => Object.values(assignment.bindings).includes(pattern));
      if (!found) throw failure("assignment.not-found", { workflow: name, codeset: `${project}/${codeset}` });
      await unit.assignments.remove(found.id);
    });
  }

  assignments(workflow?: string): Promise<StoredAssignment[]> {
    return this.parts.store.read.assignments.list({ workflow });
  }
}

/** Runnables are pinned when a workflow is made: steps get their image and command, and the address with its version. */
function withRunnables(
  definition: WorkflowDefinition,
  runnables: ReadonlyMap<string, KnownRunnable>,
): WorkflowDefinition {
  const steps = definition.steps.map((step) => {
    const known = step.runnable === undefined ? undefined : runnables.get(step.runnable);
    return known ? { ...applyRunnable(step, known), runnable: known.address } : step;
  });
  return { ...definition, steps };
}
