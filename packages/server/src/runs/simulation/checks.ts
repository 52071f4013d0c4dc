import { stepGraph } from "@fuseml/core/run/graph";
import { isDone, isRunEnded } from "@fuseml/core/run/state";
import type { Store } from "../../state/store.ts";
import type { StoredRun, StoredStep } from "../records.ts";
import type { Happened, SimulatedWorld } from "./simulated-agent.ts";

/** What people asked to be run again: only that may run after it succeeded. */
export type Asked = { readonly runId: string; readonly at: number };

/** Everything that is wrong with how a simulation ended. */
export async function violations(
  store: Store,
  world: SimulatedWorld,
  acknowledged: readonly string[],
  asked: readonly Asked[],
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const id of acknowledged) {
    const run = await store.read.runs.get(id);
    if (!run) {
      found.push(`run ${id} was acknowledged and is lost`);
      continue;
    }
    if (!isRunEnded(run.status)) found.push(`run ${id} is stuck: ${run.status}`);
    const steps = await store.read.runs.steps(id);
    const happened = world.happened.map((of, at) => ({ ...of, at })).filter((of) => of.runId === id);
    found.push(
      ...ofEnd(run, steps),
      ...ofTries(
        id,
        happened,
        asked.filter((of) => of.runId === id),
      ),
      ...(await ofOrder(store, run, happened)),
    );
    const live = await store.read.runs.segments(id);
    if (isRunEnded(run.status) && live.length > 0) found.push(`run ${id} ended with living segments`);
    const running = [...world.held.values()].filter(
      (held) => held.segment.runId === id && held.steps.some((of) => of.state === "running"),
    );
    if (isRunEnded(run.status) && running.length > 0) found.push(`run ${id} ended and something of it still runs`);
  }
  return found;
}

/** How a run ended fits how its steps ended. */
function ofEnd(run: StoredRun, steps: readonly StoredStep[]): string[] {
  const of = (status: string): number => steps.filter((step) => step.state.status === status).length;
  if (isRunEnded(run.status) && of("waiting") + of("running") > 0) return [`run ${run.id} ended with open steps`];
  if (run.status === "succeeded" && !steps.every((step) => isDone(step.state))) {
    return [`run ${run.id} succeeded and a step did not`];
  }
  const early = run.error?.code === "run.timeout";
  if (run.status === "failed" && of("failed") === 0 && !early) return [`run ${run.id} failed and no step did`];
  return [];
}

type Dated = Happened & { readonly at: number };

/** No try begins twice, no two tries of a step overlap, and none begins after one succeeded, unless someone asked. */
function ofTries(id: string, happened: readonly Dated[], asked: readonly Asked[]): string[] {
  const found: string[] = [];
  for (const step of new Set(happened.map((of) => of.step))) {
    const of = happened.filter((one) => one.step === step);
    const begun = of.filter((one) => one.what === "started");
    const tries = begun.map((one) => `${one.attempt} in ${one.segment}`);
    if (new Set(tries).size < tries.length) found.push(`${id} ${step}: ${tries.join(", ")} began twice`);
    let running = false;
    let success: number | undefined;
    for (const one of of) {
      if (one.what === "started") {
        if (running) found.push(`${id} ${step}: two tries at once`);
        const since = success;
        if (since !== undefined && !asked.some((wish) => wish.at > since && wish.at <= one.at)) {
          found.push(`${id} ${step}: began again after it had succeeded`);
        }
        running = true;
      } else running = false;
      if (one.what === "succeeded") success = one.at;
    }
  }
  return found;
}

/** A step begins only when what it needs is over: by then the world has seen it succeed, or the database has it as done. */
async function ofOrder(store: Store, run: StoredRun, happened: readonly Dated[]): Promise<string[]> {
  const definition =
    run.definition ?? (await store.read.workflows.getVersion(run.workflow, run.workflowVersion))?.definition;
  if (!definition) return [];
  const found: string[] = [];
  const graph = stepGraph(definition);
  for (const begun of happened.filter((of) => of.what === "started")) {
    const step = begun.step.split(".")[0] ?? "";
    for (const need of graph.get(step)?.needs ?? []) {
      const before = happened.filter((of) => of.at < begun.at && of.step.split(".")[0] === need);
      const names = new Set(before.map((of) => of.step));
      for (const name of names) {
        const last = before.findLast((of) => of.step === name);
        if (last?.what === "started") found.push(`${run.id} ${begun.step} began while ${name} ran`);
      }
    }
  }
  return found;
}
