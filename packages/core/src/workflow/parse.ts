import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { type Diagnostic, formatPath, type Position } from "../diagnostic.ts";
import { suggest } from "../nearest.ts";
import { err, ok, type Result } from "../result.ts";
import { type WorkflowDefinition, workflowDefinition } from "./definition.ts";

/** Where things stand in the text a definition was read from. */
export interface SourceMap {
  /** The place of the value at `path`, or of the nearest thing around it. */
  at(path: readonly PropertyKey[]): Position;
  /** The place of the `ordinal`-th `{{` inside the text at `path`, `offset` characters on. */
  inTemplate(path: readonly PropertyKey[], ordinal: number, offset: number): Position;
}

export type ParsedWorkflow = { readonly definition: WorkflowDefinition; readonly source: SourceMap };

/** A definition larger than this is refused: it is not one that a person wrote. */
export const maximumDefinitionBytes = 1024 * 1024;

/**
 * Reads a workflow from YAML or JSON.
 * Every fault comes with its line and column, the field and a hint. `file` is named in the positions.
 */
export function parseWorkflow(text: string, file?: string): Result<ParsedWorkflow, readonly Diagnostic[]> {
  if (text.length > maximumDefinitionBytes) {
    return err([
      { code: "workflow.too-large", message: `the definition is larger than ${maximumDefinitionBytes} bytes` },
    ]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { ...(file ? { file } : {}), line, column: col };
  };
  if (document.errors.length > 0) {
    return err(
      document.errors.map((error) => ({
        code: "yaml.syntax",
        message: error.message.replace(/ at line \d+.*$/s, ""),
        hint: "check the indentation and the quotes around this place",
        at: place(error.pos[0]),
      })),
    );
  }
  const source = sourceMap(document, text, place);
  let plain: unknown;
  try {
    plain = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return err([{ code: "yaml.syntax", message: (error as Error).message, at: place(0) }]);
  }
  return withSource(validateWorkflow(plain, source), source);
}

const withSource = (
  checked: Result<WorkflowDefinition, readonly Diagnostic[]>,
  source: SourceMap,
): Result<ParsedWorkflow, readonly Diagnostic[]> => (checked.ok ? ok({ definition: checked.value, source }) : checked);

/** Checks the shape of a definition that is already an object (a JSON request body). */
export function validateWorkflow(
  plain: unknown,
  source?: SourceMap,
): Result<WorkflowDefinition, readonly Diagnostic[]> {
  const parsed = workflowDefinition.safeParse(plain, { reportInput: true });
  if (parsed.success) return ok(parsed.data);
  return err(parsed.error.issues.flatMap((issue) => explain(issue, source)));
}

function explain(issue: z.core.$ZodIssue, source: SourceMap | undefined): Diagnostic[] {
  const where = (path: readonly PropertyKey[]): Pick<Diagnostic, "path" | "at"> => ({
    path: formatPath(path),
    ...(source ? { at: source.at(path) } : {}),
  });
  if (issue.code === "unrecognized_keys") {
    const known = knownFields(issue.path);
    return issue.keys.map((key) => ({
      code: "workflow.unknown-field",
      message: `unknown field "${key}"`,
      hint: suggest(key, known, "fields"),
      ...where([...issue.path, key]),
    }));
  }
  const field = issue.path.at(-1);
  if (issue.code === "invalid_type" && issue.input === undefined) {
    return [
      {
        code: "workflow.missing-field",
        message: `"${String(field)}" is missing`,
        hint: `add it as ${issue.expected === "array" ? "a list" : `a ${issue.expected}`}`,
        ...where(issue.path),
      },
    ];
  }
  if (issue.code === "invalid_type") {
    return [
      {
        code: "workflow.wrong-type",
        message: `${field === undefined ? "the definition" : `"${String(field)}"`} must be ${issue.expected === "array" ? "a list" : `of type ${issue.expected}`}`,
        hint: field === undefined ? "a workflow is a mapping with name and steps" : `found ${describe(issue.input)}`,
        ...where(issue.path),
      },
    ];
  }
  if (issue.code === "invalid_value") {
    return [
      {
        code: "workflow.wrong-value",
        message: `"${String(issue.input)}" is not a value of "${String(field)}"`,
        hint: suggest(String(issue.input), issue.values.map(String), "values"),
        ...where(issue.path),
      },
    ];
  }
  return [{ code: "workflow.wrong-value", message: issue.message, ...where(issue.path) }];
}

const describe = (value: unknown): string =>
  value === null
    ? "nothing"
    : Array.isArray(value)
      ? "a list"
      : typeof value === "object"
        ? "a mapping"
        : JSON.stringify(value);

/** The fields that the schema knows at a path, for the hint about an unknown one. */
function knownFields(path: readonly PropertyKey[]): string[] {
  type Def = { type: string; shape?: Record<string, Schema>; element?: Schema; innerType?: Schema };
  type Schema = { _zod: { def: Def } };
  const unwrap = (schema: Schema): Def => {
    const { def } = schema._zod;
    return def.innerType ? unwrap(def.innerType) : def;
  };
  let def = unwrap(workflowDefinition as unknown as Schema);
  for (const key of path) {
    const next = typeof key === "number" ? def.element : def.shape?.[String(key)];
    if (!next) return [];
    def = unwrap(next);
  }
  return Object.keys(def.shape ?? {}).filter((key) => key !== "status" && key !== "created");
}

function sourceMap(document: Document, text: string, place: (offset: number) => Position): SourceMap {
  const rangeOf = (path: readonly PropertyKey[]): { from: number; to: number } => {
    for (let length = path.length; length > 0; length -= 1) {
      const key = path[length - 1];
      const parent = document.getIn(path.slice(0, length - 1), true);
      if (isMap(parent)) {
        const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === key);
        // an unknown or wrong key is shown at the key, a value at the value
        const node = pair && isNode(pair.value) && isScalar(pair.value) ? pair.value : pair?.key;
        if (isNode(node) && node.range) return { from: node.range[0], to: node.range[1] };
      }
      const node = document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return { from: node.range[0], to: node.range[1] };
    }
    return { from: document.contents?.range?.[0] ?? 0, to: text.length };
  };
  const keyOf = (path: readonly PropertyKey[]): number | undefined => {
    const parent = document.getIn(path.slice(0, -1), true);
    if (!isMap(parent) || knownFields(path.slice(0, -1)).includes(String(path.at(-1)))) return undefined;
    const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === path.at(-1));
    return isNode(pair?.key) ? pair.key.range?.[0] : undefined;
  };
  return {
    at: (path) => place(keyOf(path) ?? rangeOf(path).from),
    inTemplate: (path, ordinal, offset) => {
      const { from, to } = rangeOf(path);
      let at = from;
      for (let seen = 0; seen <= ordinal; seen += 1) {
        const found = text.indexOf("{{", seen === 0 ? from : at + 2);
        if (found < 0 || found > to) break;
        at = found;
      }
      return place(at + offset);
    },
  };
}
