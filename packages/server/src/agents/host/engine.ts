import { failure } from "@fuseml/core/errors";
import type { Acceptance } from "@fuseml/core/run/choose-agent";
import type { StepSpec } from "@fuseml/core/run/spec";
import { literal } from "@fuseml/core/workflow/expression";
import type { CodeStore } from "../../codesets/code-store.ts";
import type { ShellWorkers } from "../../platform/processes/shell-worker.ts";
import type { RunningStep, StepEngine, StepJob } from "../segments/step-engine.ts";
import type { HostRecipe } from "./recipes.ts";
import { StepProcess } from "./step-process.ts";
import { prepareStep } from "./step-setup.ts";

/** What the host engine is made of. */
export type HostEngineParts = {
  readonly recipes: {
    find(image: string): HostRecipe | undefined;
    digest(image: string): string | undefined;
  };
  readonly code: Pick<CodeStore, "checkout">;
  /** They give a step what it sees of this machine's environment. */
  readonly workers: ShellWorkers;
  readonly namespace: string;
  readonly zone: string;
};

/** Runs steps as processes of this machine: the embedded default, for which nothing has to be installed. */
export class HostEngine implements StepEngine {
  readonly name = "host";
  readonly zone: string;
  private readonly parts: HostEngineParts;

  constructor(parts: HostEngineParts) {
    this.parts = parts;
    this.zone = parts.zone;
  }

  accepts(step: StepSpec): Acceptance {
    const { zone } = this;
    if (step.zone !== undefined && step.zone !== zone)
      return {
        accepted: false,
        reason: failure("step.zone-unknown", { step: step.name, zone: step.zone, known: zone }),
      };
    if (step.command || step.args) return { accepted: false, reason: failure("host.command", { step: step.name }) };
    const image = literal(step.image);
    // an image that an earlier step makes is judged when it is known
    if ("unresolved" in image || this.parts.recipes.find(image.text)) return { accepted: true };
    return { accepted: false, reason: failure("host.image-without-recipe", { image: image.text, step: step.name }) };
  }

  async imageDigest(image: string): Promise<string | undefined> {
    return this.parts.recipes.digest(image);
  }

  async start(job: StepJob, begin: () => boolean): Promise<RunningStep | undefined> {
    const prepared = await prepareStep(job, this.parts);
    return StepProcess.start(job.directory, this.parts.workers, prepared, begin);
  }

  adopt(directory: string): RunningStep | undefined {
    return StepProcess.adopt(directory);
  }

  close(): void {
    this.parts.workers.dismissAll();
  }
}
