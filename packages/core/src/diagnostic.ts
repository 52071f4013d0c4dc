/** A place in a text, counted from 1 as editors do. */
export type Position = { readonly file?: string; readonly line: number; readonly column: number };

/** One thing that is wrong with what a person wrote: where it is, what was found, what would be right. */
export type Diagnostic = {
  /** Stable and searchable, e.g. `workflow.unknown-step`. */
  readonly code: string;
  readonly message: string;
  /** What to do next. */
  readonly hint?: string;
  /** The field, e.g. `steps[1].inputs[0].value`. */
  readonly path?: string;
  readonly at?: Position;
};

/** `file:line:column: message (hint) [code]`: the form that editors and terminals turn into links. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { at, path, message, hint, code } = diagnostic;
  const place = at ? `${at.file ?? "<input>"}:${at.line}:${at.column}: ` : path ? `${path}: ` : "";
  return `${place}${message}${hint ? `\n    ${hint}` : ""}\n    [${code}]`;
}

/** `["steps", 1, "inputs"]` as `steps[1].inputs`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) => (typeof key === "number" ? `[${key}]` : `${index > 0 ? "." : ""}${String(key)}`))
    .join("");
}
