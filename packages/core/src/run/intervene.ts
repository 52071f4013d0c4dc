import { failure } from "../errors.ts";
import { suggest } from "../nearest.ts";
import { downstream, type StepGraph } from "./graph.ts";
import { initialRows, type StepRow } from "./picture.ts";
import { isDone } from "./state.ts";

/** What happens to the rows of a run when a person steps in. */
export type Rewrite = {
  /** In place of the rows of the same name. */
  readonly rows: readonly StepRow[];
  /** Steps whose rows are all removed, because the combinations of their matrix are to be found anew. */
  readonly recollapse: readonly string[];
  /** The names of all rows that are not what they were: agents must not go on with these. */
  readonly touched: readonly string[];
};

/** A step that has not run yet, or is to run again. Its tries go on counting; its limit counts from here. */
const afresh = (row: StepRow): StepRow => ({
  ...row,
  state: { status: "waiting" },
  base: row.attempt,
  passes: {},
  reuse: null,
});

function rewrite(graph: StepGraph, rows: readonly StepRow[], again: (row: StepRow) => boolean): Rewrite {
  const chosen = rows.filter(again);
  const steps = new Set(chosen.map((row) => row.step));
  const recollapse = [...steps].filter(
    (step) => graph.get(step)?.hasOpenMatrix && rows.every((row) => row.step !== step || again(row)),
  );
  const kept = chosen.filter((row) => !recollapse.includes(row.step)).map(afresh);
  return {
    rows: [...kept, ...recollapse.flatMap((step) => initialRows(step, null))],
    recollapse,
    touched: chosen.map((row) => row.name),
  };
}

/** @throws `run.step-not-found` */
export function rowsNamed(rows: readonly StepRow[], name: string): readonly StepRow[] {
  const exact = rows.filter((row) => row.name === name);
  const found = exact.length > 0 ? exact : rows.filter((row) => row.step === name);
  if (found.length > 0) return found;
  const names = [...new Set(rows.map((row) => row.step))];
  throw failure("run.step-not-found", { step: name, hint: suggest(name, names, "steps") });
}

/**
 * To go on with a run that has ended: what is not done runs, and with `from` that step and all that depends on it once more.
 * @throws `run.step-not-found`
 */
export function resume(graph: StepGraph, rows: readonly StepRow[], from: string | undefined): Rewrite {
  if (from === undefined) return rewrite(graph, rows, (row) => !isDone(row.state));
  const again = downstream(graph, rowsNamed(rows, from)[0]?.step ?? from);
  return rewrite(graph, rows, (row) => again.has(row.step) || !isDone(row.state));
}

/** To run a step once more, and what depends on it as far as it has run. @throws `run.step-not-found` */
export function retry(graph: StepGraph, rows: readonly StepRow[], name: string): Rewrite {
  const chosen = rowsNamed(rows, name);
  const step = chosen[0]?.step ?? name;
  const after = downstream(graph, step);
  return rewrite(graph, rows, (row) => chosen.includes(row) || (row.step !== step && after.has(row.step)));
}

/** The step runs that a fork takes over: those that are done and do not depend on `from`. @throws `run.step-not-found` */
export function takenOver(graph: StepGraph, rows: readonly StepRow[], from: string): readonly StepRow[] {
  const again = downstream(graph, rowsNamed(rows, from)[0]?.step ?? from);
  return rows.filter((row) => !again.has(row.step) && isDone(row.state));
}
