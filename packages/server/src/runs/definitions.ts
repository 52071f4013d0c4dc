import { type StepGraph, stepGraph } from "@fuseml/core/run/graph";
import type { WorkflowDefinition } from "@fuseml/core/workflow/definition";
import type { Repositories } from "../state/store.ts";
import type { StoredRun } from "./records.ts";

/** What a run runs: its workflow version, or the definition that was edited for it. */
export type RunPlan = { readonly definition: WorkflowDefinition; readonly graph: StepGraph };

const kept = 200;

/** Definitions of runs with their graphs. Versions are never changed, so what was read once is kept. */
export class RunDefinitions {
  private readonly known = new Map<string, RunPlan>();

  async of(repositories: Pick<Repositories, "workflows">, run: StoredRun): Promise<RunPlan> {
    if (run.definition) return { definition: run.definition, graph: stepGraph(run.definition) };
    const key = `${run.workflow}@${run.workflowVersion}`;
    const present = this.known.get(key);
    if (present) return present;
    const workflow = await repositories.workflows.getVersion(run.workflow, run.workflowVersion);
    if (!workflow) throw new Error(`version ${run.workflowVersion} of workflow ${run.workflow} is gone`);
    const plan = { definition: workflow.definition, graph: stepGraph(workflow.definition) };
    if (this.known.size >= kept) this.known.clear();
    this.known.set(key, plan);
    return plan;
  }
}
