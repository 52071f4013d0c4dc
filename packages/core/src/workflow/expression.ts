/**
 * The expressions of the workflow language.
 *
 *     template   = { text | "{{" reference "}}" }
 *     reference  = "inputs"     "." name [ "." property ]
 *                | "steps"      "." name "." "outputs" "." name
 *                | "extensions" "." name "." "cfg" "." name
 *                | "matrix"     "." name
 *     property   = "name" | "project" | "version"          (of a codeset input)
 *     name       = letter, digit or "_", then letters, digits, "_" or "-"
 */
export const codesetProperties = ["name", "project", "version"] as const;
export type CodesetProperty = (typeof codesetProperties)[number];

export type InputReference = { readonly input: string; readonly property?: CodesetProperty };
export type OutputReference = { readonly step: string; readonly output: string };
export type ExtensionReference = { readonly extension: string; readonly variable: string };
/** The value of a dimension in one step run of a matrix. */
export type MatrixReference = { readonly matrix: string };
export type Reference = InputReference | OutputReference | ExtensionReference | MatrixReference;

/** Text with references in it. Adjacent text is joined, so that equal texts parse to equal templates. */
export type Template<R extends Reference = Reference> = readonly (string | R)[];

/** A reference, and where in the text it stands. */
export type Located = { readonly reference: Reference; readonly ordinal: number; readonly offset: number };

export type ExpressionError = {
  readonly message: string;
  readonly hint: string;
  /** Which `{{` of the text, from 0, and how far behind it. */
  readonly ordinal: number;
  readonly offset: number;
};

export type ParsedTemplate =
  | { readonly ok: true; readonly template: Template; readonly references: readonly Located[] }
  | { readonly ok: false; readonly error: ExpressionError };

const open = "{{";
const close = "}}";

class Failure extends Error {
  readonly offset: number;
  readonly hint: string;
  constructor(message: string, offset: number, hint: string) {
    super(message);
    this.offset = offset;
    this.hint = hint;
  }
}

/** Recursive descent over the inside of one `{{ … }}`. */
class ReferenceParser {
  private readonly source: string;
  private position = 0;
  constructor(source: string) {
    this.source = source;
  }

  parse(): { reference: Reference; offset: number } {
    this.skipSpace();
    const offset = this.position;
    if (this.position >= this.source.length) {
      throw new Failure("the expression is empty", offset, "write for example {{ inputs.NAME }}");
    }
    const root = this.name("inputs, steps, extensions or matrix");
    const reference = this.reference(root, offset);
    this.skipSpace();
    if (this.position < this.source.length) {
      throw new Failure(
        `unexpected "${this.source.slice(this.position).trim()}"`,
        this.position,
        "an expression is one reference",
      );
    }
    return { reference, offset };
  }

  private reference(root: string, offset: number): Reference {
    switch (root) {
      case "inputs": {
        const input = this.member("the name of an input");
        if (!this.peek(".")) return { input };
        const at = this.position + 1;
        const property = this.member("name, project or version");
        if (!codesetProperties.includes(property as CodesetProperty)) {
          throw new Failure(
            `"${property}" is not a property of an input`,
            at,
            `a codeset has: ${codesetProperties.join(", ")}`,
          );
        }
        return { input, property: property as CodesetProperty };
      }
      case "steps": {
        const step = this.member("the name of a step");
        this.keyword("outputs", `write {{ steps.${step}.outputs.NAME }}`);
        return { step, output: this.member("the name of an output") };
      }
      case "extensions": {
        const extension = this.member("the name of an extension");
        this.keyword("cfg", `write {{ extensions.${extension}.cfg.VARIABLE }}`);
        return { extension, variable: this.member("the name of a variable") };
      }
      case "matrix":
        return { matrix: this.member("the name of a dimension") };
      default:
        throw new Failure(
          `"${root}" is not known here`,
          offset,
          "an expression starts with inputs, steps, extensions or matrix",
        );
    }
  }

  private keyword(word: string, hint: string): void {
    const at = this.position + 1;
    if (this.member(word) !== word) throw new Failure(`"${word}" is missing`, at, hint);
  }

  private member(what: string): string {
    this.skipSpace();
    if (!this.peek(".")) throw new Failure(`expected "." and ${what}`, this.position, "parts are joined by dots");
    this.position += 1;
    this.skipSpace();
    return this.name(what);
  }

  private name(what: string): string {
    const match = /^[A-Za-z0-9_][A-Za-z0-9_-]*/.exec(this.source.slice(this.position));
    if (!match) throw new Failure(`expected ${what}`, this.position, "names are letters, digits, _ and -");
    this.position += match[0].length;
    return match[0];
  }

  private peek(character: string): boolean {
    this.skipSpace();
    return this.source[this.position] === character;
  }

  private skipSpace(): void {
    while (/\s/.test(this.source[this.position] ?? "")) this.position += 1;
  }
}

/** Parses a text with `{{ … }}` expressions. Text without any is a template of itself. */
export function parseTemplate(text: string): ParsedTemplate {
  const template: (string | Reference)[] = [];
  const references: Located[] = [];
  let rest = 0;
  for (let ordinal = 0; ; ordinal += 1) {
    const start = text.indexOf(open, rest);
    if (start < 0) break;
    const end = text.indexOf(close, start + open.length);
    if (end < 0) {
      return {
        ok: false,
        error: { message: `"${open}" without "${close}"`, hint: "close the expression", ordinal, offset: 0 },
      };
    }
    if (start > rest) template.push(text.slice(rest, start));
    try {
      const { reference, offset } = new ReferenceParser(text.slice(start + open.length, end)).parse();
      template.push(reference);
      references.push({ reference, ordinal, offset: offset + open.length });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return {
        ok: false,
        error: { message: error.message, hint: error.hint, ordinal, offset: error.offset + open.length },
      };
    }
    rest = end + close.length;
  }
  if (rest < text.length) template.push(text.slice(rest));
  return { ok: true, template, references };
}

/** The template as text again. `parseTemplate(formatTemplate(t))` is `t`. */
export const formatTemplate = (template: Template): string =>
  template.map((part) => (typeof part === "string" ? part : `{{ ${formatReference(part)} }}`)).join("");

export function formatReference(reference: Reference): string {
  if ("input" in reference) return `inputs.${reference.input}${reference.property ? `.${reference.property}` : ""}`;
  if ("matrix" in reference) return `matrix.${reference.matrix}`;
  if ("step" in reference) return `steps.${reference.step}.outputs.${reference.output}`;
  return `extensions.${reference.extension}.cfg.${reference.variable}`;
}

export const isInput = (reference: Reference): reference is InputReference => "input" in reference;
export const isOutput = (reference: Reference): reference is OutputReference => "step" in reference;
export const isMatrix = (reference: Reference): reference is MatrixReference => "matrix" in reference;
export const isExtension = (reference: Reference): reference is ExtensionReference => "extension" in reference;

/**
 * Replaces the references that `lookup` knows by their values and leaves the others in place.
 * Adjacent texts are joined.
 */
export function substitute<R extends Reference, Left extends R = R>(
  template: Template<R>,
  lookup: (reference: R) => string | undefined,
): Template<Left> {
  const parts: (string | Left)[] = [];
  for (const part of template) {
    const value = typeof part === "string" ? part : lookup(part);
    const last = parts.at(-1);
    if (value === undefined) parts.push(part as Left);
    else if (typeof last === "string") parts[parts.length - 1] = last + value;
    else if (value !== "") parts.push(value);
  }
  return parts;
}

/** The text of a template in which nothing is left to replace, or the first reference that is. */
export function literal<R extends Reference>(template: Template<R>): { text: string } | { unresolved: R } {
  const unresolved = template.find((part) => typeof part !== "string") as R | undefined;
  return unresolved ? { unresolved } : { text: template.join("") };
}
