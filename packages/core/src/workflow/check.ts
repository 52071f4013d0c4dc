import { whyInvalid } from "../assignment/schedule.ts";
import { type Diagnostic, formatPath } from "../diagnostic.ts";
import { failure } from "../errors.ts";
import { suggest } from "../nearest.ts";
import { circle, stepGraph } from "../run/graph.ts";
import { isTimezone } from "../run/window.ts";
import { mismatches } from "../runnable/compatible.ts";
import type { Catalogue } from "./catalogue.ts";
import { parseCondition } from "./condition.ts";
import {
  type ExtensionRequirement,
  reservedWorkflowNames,
  type Schedule,
  type WorkflowDefinition,
  type WorkflowStep,
} from "./definition.ts";
import { isExtension, isInput, isMatrix, type Located, parseTemplate, type Reference } from "./expression.ts";
import { coerceInput } from "./input.ts";
import type { SourceMap } from "./parse.ts";

type Path = readonly PropertyKey[];

/**
 * Everything that is wrong with a well-formed definition: names, references, their order, selectors.
 * An empty list means that every expression in it will resolve at run time.
 */
export function checkWorkflow(
  definition: WorkflowDefinition,
  { source, catalogue = {} }: { source?: SourceMap; catalogue?: Catalogue } = {},
): readonly Diagnostic[] {
  return new Checker(definition, source, catalogue).run();
}

class Checker {
  private readonly definition: WorkflowDefinition;
  private readonly source: SourceMap | undefined;
  private readonly catalogue: Catalogue;
  private readonly found: Diagnostic[] = [];

  constructor(definition: WorkflowDefinition, source: SourceMap | undefined, catalogue: Catalogue) {
    this.definition = definition;
    this.source = source;
    this.catalogue = catalogue;
  }

  run(): readonly Diagnostic[] {
    const { definition } = this;
    if ((reservedWorkflowNames as readonly string[]).includes(definition.name)) {
      this.report(
        ["name"],
        "workflow.reserved-name",
        `a workflow cannot be named "${definition.name}"`,
        "choose another name",
      );
    }
    this.unique(["inputs"], definition.inputs ?? [], "input");
    this.unique(["outputs"], definition.outputs ?? [], "output");
    this.unique(["steps"], definition.steps, "step");
    this.checkDefaults();
    definition.steps.forEach((step, index) => {
      const at = ["steps", index];
      this.unique([...at, "inputs"], step.inputs ?? [], "input", `step "${step.name}" has`);
      this.unique([...at, "outputs"], step.outputs ?? [], "output", `step "${step.name}" has`);
      this.unique([...at, "extensions"], step.extensions ?? [], "extension", `step "${step.name}" has`);
      if (step.image !== undefined) this.template([...at, "image"], step.image, index, false);
      else if (!step.approval && step.runnable === undefined) {
        this.report(
          at,
          "workflow.step-without-image",
          `step "${step.name}" has no image`,
          "only a step that waits for approval may have none",
        );
      }
      step.inputs?.forEach((input, position) => {
        if (input.value !== undefined) this.template([...at, "inputs", position, "value"], input.value, index, true);
        if (input.codeset) this.codeset([...at, "inputs", position, "codeset", "name"], input.codeset.name);
      });
      step.env?.forEach((entry, position) => {
        this.template([...at, "env", position, "value"], entry.value, index, true);
      });
      for (const field of ["entrypoint", "args"] as const) {
        step[field]?.forEach((text, position) => {
          // no secrets: command lines can be seen
          this.template([...at, field, position], text, index, false);
        });
      }
      if (step.runnable !== undefined) this.runnable(at, step, step.runnable);
      step.extensions?.forEach((requirement, position) => {
        this.extension([...at, "extensions", position], step.name, requirement);
      });
      this.flow(at, step, index);
    });
    this.checkOutputs();
    this.circles();
    if (definition.schedule) this.schedule(["schedule"], definition.schedule);
    return this.found;
  }

  private runnable(at: Path, step: WorkflowStep, reference: string): void {
    const found = this.catalogue.runnable?.(reference);
    if (!found) return;
    if ("unknown" in found) {
      this.report([...at, "runnable"], "workflow.runnable-unknown", found.unknown, found.hint);
      return;
    }
    if (!found.descriptor) return;
    for (const { path, message, hint } of mismatches(step, found.descriptor, this.definition))
      this.report([...at, ...path], "workflow.runnable-mismatch", message, hint);
  }

  private report(
    path: Path,
    code: string,
    message: string,
    hint: string,
    located?: Pick<Located, "ordinal" | "offset">,
  ): void {
    const at = located ? this.source?.inTemplate(path, located.ordinal, located.offset) : this.source?.at(path);
    this.found.push({ code, message, hint, path: formatPath(path), ...(at ? { at } : {}) });
  }

  private unique(path: Path, items: readonly { name: string }[], what: string, of = "the workflow has"): void {
    const first = new Map<string, number>();
    items.forEach(({ name }, index) => {
      const before = first.get(name);
      if (before === undefined) first.set(name, index);
      else {
        const line = this.source?.at([...path, before, "name"]).line;
        this.report(
          [...path, index, "name"],
          `workflow.duplicate-${what}`,
          `${of} two ${what}s named "${name}"`,
          line ? `the first is on line ${line}; rename one of them` : "rename one of them",
        );
      }
    });
  }

  private checkDefaults(): void {
    this.definition.inputs?.forEach((input, index) => {
      if (input.default === undefined) return;
      const path = ["inputs", index, "default"];
      if (input.type === "codeset" || input.type === "model") {
        this.report(
          path,
          "workflow.input-default",
          `a ${input.type} input has no default`,
          "bind it when you assign the workflow",
        );
      } else if (coerceInput(input.type, input.default) === undefined) {
        this.report(
          path,
          "workflow.input-default",
          `the default "${input.default}" is not of type ${input.type}`,
          "change the default or the type",
        );
      }
    });
  }

  private checkOutputs(): void {
    const produced = this.definition.steps.flatMap((step) => (step.outputs ?? []).map((output) => output.name));
    this.definition.outputs?.forEach((output, index) => {
      if (produced.includes(output.name)) return;
      this.report(
        ["outputs", index, "name"],
        "workflow.output-without-step",
        `no step has an output named "${output.name}"`,
        `a workflow output takes the value of the step output of the same name; ${suggest(output.name, produced, "step outputs")}`,
      );
    });
  }

  private codeset(path: Path, text: string): void {
    const parsed = parseTemplate(text);
    if (!parsed.ok)
      return this.report(path, "workflow.expression-syntax", parsed.error.message, parsed.error.hint, parsed.error);
    const [only, ...others] = parsed.template;
    const codesets = (this.definition.inputs ?? [])
      .filter((input) => input.type === "codeset")
      .map((input) => input.name);
    if (typeof only !== "object" || others.length > 0 || !isInput(only) || only.property) {
      const example = codesets[0] ?? "NAME";
      return this.report(
        path,
        "workflow.not-a-codeset",
        `"${text}" is not a codeset input`,
        `write {{ inputs.${example} }}`,
      );
    }
    if (!codesets.includes(only.input)) {
      this.report(
        path,
        "workflow.not-a-codeset",
        `"${only.input}" is not a codeset input of the workflow`,
        suggest(only.input, codesets, "codeset inputs"),
        parsed.references[0],
      );
    }
  }

  private template(path: Path, text: string, stepIndex: number, extensions: boolean): void {
    const parsed = parseTemplate(text);
    if (!parsed.ok)
      return this.report(path, "workflow.expression-syntax", parsed.error.message, parsed.error.hint, parsed.error);
    for (const located of parsed.references) this.reference(path, located.reference, stepIndex, extensions, located);
  }

  private reference(path: Path, reference: Reference, stepIndex: number, extensions: boolean, located: Located): void {
    if (isInput(reference)) return this.inputReference(path, reference, located);
    const step = this.definition.steps[stepIndex];
    if (isExtension(reference)) {
      const names = (step?.extensions ?? []).map((extension) => extension.name);
      if (!extensions) {
        this.report(
          path,
          "workflow.extension-in-image",
          "an image cannot depend on an extension's configuration",
          "use an input instead",
          located,
        );
      } else if (!names.includes(reference.extension)) {
        this.report(
          path,
          "workflow.unknown-extension",
          `step "${step?.name}" declares no extension "${reference.extension}"`,
          suggest(reference.extension, names, "extensions of this step"),
          located,
        );
      }
      return;
    }
    if (isMatrix(reference)) {
      const dimensions = Object.keys(step?.matrix ?? {});
      if (dimensions.includes(reference.matrix)) return;
      this.report(
        path,
        "workflow.unknown-dimension",
        `step "${step?.name}" has no matrix dimension "${reference.matrix}"`,
        suggest(reference.matrix, dimensions, "dimensions"),
        located,
      );
      return;
    }
    const names = this.definition.steps.map((other) => other.name);
    const target = names.indexOf(reference.step);
    if (target < 0) {
      this.report(
        path,
        "workflow.unknown-step",
        `there is no step "${reference.step}"`,
        suggest(reference.step, names, "steps"),
        located,
      );
      return;
    }
    if (target === stepIndex || (target > stepIndex && this.definition.order !== "dataflow")) {
      this.report(
        path,
        "workflow.output-before-step",
        target === stepIndex
          ? `step "${reference.step}" refers to its own output`
          : `step "${reference.step}" runs after this one, so its output is not there yet`,
        target === stepIndex
          ? "an output can be used by later steps only"
          : `move step "${reference.step}" before step "${step?.name}", or write order: dataflow`,
        located,
      );
      return;
    }
    const outputs = (this.definition.steps[target]?.outputs ?? []).map((output) => output.name);
    if (!outputs.includes(reference.output)) {
      this.report(
        path,
        "workflow.unknown-output",
        `step "${reference.step}" has no output "${reference.output}"`,
        suggest(reference.output, outputs, `outputs of step "${reference.step}"`),
        located,
      );
    }
  }

  private inputReference(path: Path, reference: { input: string; property?: string }, located: Located): void {
    const inputs = this.definition.inputs ?? [];
    const input = inputs.find((candidate) => candidate.name === reference.input);
    if (!input) {
      const names = inputs.map((candidate) => candidate.name);
      this.report(
        path,
        "workflow.unknown-input",
        `the workflow has no input "${reference.input}"`,
        suggest(reference.input, names, "inputs"),
        located,
      );
    } else if (reference.property && input.type !== "codeset" && input.type !== "model") {
      this.report(
        path,
        "workflow.unknown-property",
        `input "${reference.input}" is of type ${input.type} and has no "${reference.property}"`,
        `write {{ inputs.${reference.input} }}`,
        located,
      );
    }
  }

  /** What decides when a step runs, and how often. */
  private flow(at: Path, step: WorkflowStep, index: number): void {
    const names = this.definition.steps.map((other) => other.name);
    step.after?.forEach((name, position) => {
      const path = [...at, "after", position];
      const target = names.indexOf(name);
      if (target < 0) {
        this.report(path, "workflow.unknown-step", `there is no step "${name}"`, suggest(name, names, "steps"));
      } else if (target >= index && this.definition.order !== "dataflow") {
        this.report(
          path,
          "workflow.after-later-step",
          `step "${name}" is written behind step "${step.name}"`,
          "in the order `listed` steps run as they are written: move it, or write order: dataflow",
        );
      }
    });
    if (step.when !== undefined) this.condition([...at, "when"], step.when, index);
    for (const [name, values] of Object.entries(step.matrix ?? {})) {
      const path = [...at, "matrix", name];
      if (typeof values === "string") this.template(path, values, index, false);
      else
        values.forEach((value, position) => {
          this.template([...path, position], value, index, false);
        });
    }
    const timezone = step.window?.timezone;
    if (timezone !== undefined && !isTimezone(timezone)) {
      this.report(
        [...at, "window", "timezone"],
        "workflow.timezone",
        `there is no time zone "${timezone}"`,
        "write an IANA name as Europe/Berlin",
      );
    }
    step.env?.forEach((entry, position) => {
      if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(entry.name)) return;
      this.report(
        [...at, "env", position, "name"],
        "workflow.variable-name",
        `"${entry.name}" is not the name of an environment variable`,
        "a name is letters, digits and _, and does not start with a digit",
      );
    });
  }

  private condition(path: Path, text: string, stepIndex: number): void {
    const parsed = parseCondition(text);
    if (!parsed.ok) return this.report(path, "workflow.condition-syntax", parsed.message, parsed.hint);
    for (const reference of parsed.references) {
      if (isExtension(reference)) {
        this.report(
          path,
          "workflow.extension-in-condition",
          "a condition cannot depend on an extension's configuration",
          "use an input or an output of a step",
        );
      } else this.reference(path, reference, stepIndex, false, { reference, ordinal: 0, offset: 0 });
    }
  }

  private circles(): void {
    if (this.definition.order !== "dataflow") return;
    const found = circle(stepGraph(this.definition));
    if (!found) return;
    const first = this.definition.steps.findIndex((step) => step.name === found[0]);
    this.report(
      ["steps", first],
      "workflow.circle",
      `these steps wait for each other: ${found.join(" → ")}`,
      "take one of the references or `after` away",
    );
  }

  private schedule(path: Path, schedule: Schedule): void {
    const reason = whyInvalid(schedule);
    if (reason === undefined) return;
    const { code, message, hint = "" } = failure("schedule.invalid", { cron: schedule.cron, reason });
    this.report(path, code, message, hint);
  }

  private extension(path: Path, step: string, requirement: ExtensionRequirement): void {
    const reason = this.catalogue.whyUnresolved?.(requirement);
    if (reason === undefined) return;
    this.report(
      path,
      "workflow.extension-unresolved",
      `step "${step}" asks for extension "${requirement.name}", which nothing registered matches: ${reason}`,
      "see what is registered: fuseml extension list; install a bundle: fuseml extension install NAME",
    );
  }
}
