import type { WorkflowStep } from "../workflow/definition.ts";
import { parseTemplate, type Reference, substitute } from "../workflow/expression.ts";

/** A combination of a matrix: the value of each dimension. */
export type Combination = Readonly<Record<string, string>>;

/** A run has at most so many step runs. */
export const stepLimit = 100_000;

export type Expansion =
  | { readonly type: "combinations"; readonly combinations: readonly Combination[] }
  /** An output that it refers to is not known yet. */
  | { readonly type: "unknown" }
  | { readonly type: "invalid"; readonly message: string };

/** The name of one step run of a matrix: the step's name, a dot, and the index from 0. */
export const stepKey = (step: string, index: number | null): string => (index === null ? step : `${step}.${index}`);

/**
 * All combinations of a step's matrix, the last dimension changing fastest.
 * @param lookup the value of a reference, or nothing while it is not known
 */
export function expand(
  matrix: NonNullable<WorkflowStep["matrix"]>,
  lookup: (reference: Reference) => string | undefined,
): Expansion {
  const dimensions: [string, readonly string[]][] = [];
  for (const [name, written] of Object.entries(matrix)) {
    const values: string[] = [];
    for (const text of typeof written === "string" ? [written] : written) {
      const filled = fill(text, lookup);
      if (filled === undefined) return { type: "unknown" };
      values.push(filled);
    }
    if (typeof written !== "string") {
      dimensions.push([name, values]);
      continue;
    }
    const list = asList(values[0] ?? "");
    if (!list) {
      const message = `dimension "${name}" of the matrix is no list: "${(values[0] ?? "").slice(0, 200)}"`;
      return { type: "invalid", message };
    }
    dimensions.push([name, list]);
  }
  const size = dimensions.reduce((total, [, values]) => total * values.length, 1);
  if (size > stepLimit) {
    return { type: "invalid", message: `the matrix has ${size} combinations; ${stepLimit} is the limit` };
  }
  let combinations: Combination[] = [{}];
  for (const [name, values] of dimensions) {
    combinations = combinations.flatMap((before) => values.map((value) => ({ ...before, [name]: value })));
  }
  return { type: "combinations", combinations };
}

function fill(text: string, lookup: (reference: Reference) => string | undefined): string | undefined {
  const parsed = parseTemplate(text);
  if (!parsed.ok) return text;
  const filled = substitute<Reference>(parsed.template, lookup);
  return filled.some((part) => typeof part !== "string") ? undefined : filled.join("");
}

/** A JSON list of scalars, or words between commas. */
function asList(text: string): readonly string[] | undefined {
  const plain = text.trim();
  if (!plain.startsWith("[")) return plain === "" ? [] : plain.split(",").map((word) => word.trim());
  try {
    const parsed: unknown = JSON.parse(plain);
    if (!Array.isArray(parsed)) return undefined;
    return parsed.map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
