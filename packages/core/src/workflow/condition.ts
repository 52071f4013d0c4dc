import { parseTemplate, type Reference } from "./expression.ts";

/**
 * The conditions of `when`.
 *
 *     condition  = all { ("or" | "||") all }
 *     all        = one { ("and" | "&&") one }
 *     one        = ("not" | "!") one | "(" condition ")" | comparison
 *     comparison = value [ ("==" | "!=" | "<" | "<=" | ">" | ">=") value | "in" "[" value { "," value } "]" ]
 *     value      = reference | 'text' | "text" | number | true | false
 *
 * A reference may stand in `{{ }}`. Numbers are compared as numbers when both sides are numbers, else as text.
 * A value alone is true unless it is empty, `false` or `0`.
 */
export type Condition =
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] }
  | { readonly not: Condition }
  | { readonly value: Operand }
  | { readonly compare: Comparator; readonly left: Operand; readonly right: Operand }
  | { readonly left: Operand; readonly among: readonly Operand[] };

export type Operand = { readonly text: string } | { readonly reference: Reference };
const comparators = ["==", "!=", "<=", ">=", "<", ">"] as const;
export type Comparator = (typeof comparators)[number];

export type ParsedCondition =
  | { readonly ok: true; readonly condition: Condition; readonly references: readonly Reference[] }
  | { readonly ok: false; readonly message: string; readonly hint: string };

class ConditionError extends Error {
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

const example = 'write for example: steps.evaluate.outputs.accuracy >= 0.9 and inputs.mode == "fast"';
const tokenPattern =
  /\s*(\{\{|\}\}|==|!=|<=|>=|&&|\|\||[<>!()[\],]|'[^']*'|"[^"]*"|-?\d+(?:\.\d+)?(?![\w.-])|[A-Za-z_][\w-]*(?:\s*\.\s*[\w-]+)*)/y;

function tokenize(text: string): string[] {
  const tokens: string[] = [];
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < text.trimEnd().length) {
    const from = tokenPattern.lastIndex;
    const match = tokenPattern.exec(text);
    if (!match?.[1]) throw new ConditionError(`"${text.slice(from).trim()}" is not understood`, example);
    tokens.push(match[1]);
  }
  return tokens;
}

class ConditionParser {
  readonly references: Reference[] = [];
  private readonly tokens: readonly string[];
  private position = 0;

  constructor(tokens: readonly string[]) {
    this.tokens = tokens;
  }

  parse(): Condition {
    const condition = this.any();
    const rest = this.peek();
    if (rest !== undefined) throw new ConditionError(`unexpected "${rest}"`, example);
    return condition;
  }

  private any(): Condition {
    const parts = [this.all()];
    while (this.take("or", "||")) parts.push(this.all());
    return parts.length === 1 ? (parts[0] as Condition) : { any: parts };
  }

  private all(): Condition {
    const parts = [this.one()];
    while (this.take("and", "&&")) parts.push(this.one());
    return parts.length === 1 ? (parts[0] as Condition) : { all: parts };
  }

  private one(): Condition {
    if (this.take("not", "!")) return { not: this.one() };
    if (this.take("(")) return this.closed(")");
    // {{ a == b }} is the same as a == b, and {{ a }} == b as a == b
    if (this.peek() === "{{" && this.tokens[this.position + 2] !== "}}") {
      this.position += 1;
      return this.closed("}}");
    }
    return this.comparison();
  }

  private closed(by: string): Condition {
    const inner = this.any();
    this.expect(by);
    return inner;
  }

  private comparison(): Condition {
    const left = this.operand();
    const next = this.peek();
    if (next !== undefined && (comparators as readonly string[]).includes(next)) {
      this.position += 1;
      return { compare: next as Comparator, left, right: this.operand() };
    }
    if (!this.take("in")) return { value: left };
    this.expect("[");
    const among = [this.operand()];
    while (this.take(",")) among.push(this.operand());
    this.expect("]");
    return { left, among };
  }

  private operand(): Operand {
    if (this.take("{{")) {
      const inner = this.operand();
      this.expect("}}");
      return inner;
    }
    const token = this.peek();
    if (token === undefined) throw new ConditionError("the condition ends too early", example);
    this.position += 1;
    if (/^['"]/.test(token)) return { text: token.slice(1, -1) };
    if (/^-?\d/.test(token) || token === "true" || token === "false") return { text: token };
    const parsed = parseTemplate(`{{ ${token} }}`);
    if (!parsed.ok) throw new ConditionError(parsed.error.message, `${parsed.error.hint}; texts stand in quotes`);
    const [reference] = parsed.references;
    if (!reference) throw new ConditionError(`"${token}" is not understood`, example);
    this.references.push(reference.reference);
    return { reference: reference.reference };
  }

  private peek(): string | undefined {
    return this.tokens[this.position];
  }

  private take(...words: string[]): boolean {
    if (!words.includes(this.peek() ?? "")) return false;
    this.position += 1;
    return true;
  }

  private expect(word: string): void {
    if (!this.take(word)) throw new ConditionError(`"${word}" is missing${this.found()}`, example);
  }

  private found(): string {
    const token = this.peek();
    return token === undefined ? " at the end" : ` before "${token}"`;
  }
}

export function parseCondition(text: string): ParsedCondition {
  try {
    const parser = new ConditionParser(tokenize(text));
    return { ok: true, condition: parser.parse(), references: parser.references };
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    return { ok: false, message: error.message, hint: error.hint };
  }
}

/** Whether a condition holds. @param lookup the value of a reference; every reference must be known by now */
export function holds(condition: Condition, lookup: (reference: Reference) => string): boolean {
  const textOf = (operand: Operand): string => ("text" in operand ? operand.text : lookup(operand.reference));
  if ("all" in condition) return condition.all.every((part) => holds(part, lookup));
  if ("any" in condition) return condition.any.some((part) => holds(part, lookup));
  if ("not" in condition) return !holds(condition.not, lookup);
  if ("value" in condition) return !["", "false", "0"].includes(textOf(condition.value).trim().toLowerCase());
  if ("among" in condition) {
    const left = textOf(condition.left);
    return condition.among.some((candidate) => compare(left, textOf(candidate)) === 0);
  }
  const order = compare(textOf(condition.left), textOf(condition.right));
  switch (condition.compare) {
    case "==":
      return order === 0;
    case "!=":
      return order !== 0;
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
  }
}

const isNumber = (text: string): boolean => text.trim() !== "" && Number.isFinite(Number(text));

function compare(left: string, right: string): number {
  if (isNumber(left) && isNumber(right)) return Number(left) - Number(right);
  return left === right ? 0 : left < right ? -1 : 1;
}
