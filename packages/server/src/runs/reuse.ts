import { createHash } from "node:crypto";
import type { ResolvedChoice } from "@fuseml/core/extension/resolve";
import { canonicalParts, differingParts, type ReuseParts, reuseParts } from "@fuseml/core/run/reuse";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { Outputs } from "@fuseml/core/run/state";
import { literal } from "@fuseml/core/workflow/expression";
import type { CodeStore } from "../codesets/code-store.ts";
import type { Clock } from "../platform/clock.ts";
import { instant } from "../platform/clock.ts";
import type { Repositories, Store } from "../state/store.ts";
import type { CacheEntry } from "./cache-repository.ts";
import type { StoredRun } from "./records.ts";
import type { WorkloadAgent } from "./workload-agent.ts";

/** The digest of what is not there. */
export const gone = "gone";

/** Says what an output points to, so that it can be seen later whether it is still there and the same. */
export interface Witness {
  /** @returns a digest of what the value points to, `gone` when it is not there; empty for a value that points to nothing */
  digestOf(value: string, project: string): Promise<string>;
}

export type ReuseKey = { readonly key: string; readonly parts: ReuseParts };
export type ReuseAnswer =
  | { readonly hit: true; readonly key: string; readonly entry: CacheEntry }
  | { readonly hit: false; readonly key: string; readonly because: string };

/** Finds earlier results of steps, and keeps new ones. */
export class Reuse {
  private readonly parts: {
    store: Store;
    agents: readonly WorkloadAgent[];
    code: Pick<CodeStore, "treeOf">;
    witness: Witness;
    clock: Clock;
  };
  /** A commit never changes what it points to. */
  private readonly trees = new Map<string, string>();

  constructor(parts: Reuse["parts"]) {
    this.parts = parts;
  }

  /** The key of a complete step. @param choices the extension records that it gets */
  async keyOf(step: StepSpec, choices: Readonly<Record<string, ResolvedChoice>>): Promise<ReuseKey> {
    const image = literal(step.image);
    const name = "text" in image ? image.text : "";
    let imageDigest: string | undefined;
    for (const agent of this.parts.agents) imageDigest ??= await agent.imageDigest(name);
    const codeTrees: Record<string, string> = {};
    for (const { path, address } of step.codesets) {
      const at = `${address.project}/${address.name}@${address.version}`;
      const known = this.trees.get(at);
      const tree = known ?? (await this.parts.code.treeOf(address.project, address.name, address.version)) ?? at;
      this.trees.set(at, tree);
      codeTrees[path] = tree;
    }
    const extensions = Object.fromEntries(
      Object.entries(choices).map(([of, { extension, service, endpoint, credentials }]) => [
        of,
        [extension, service, endpoint, credentials].filter(Boolean).join(" "),
      ]),
    );
    const parts = reuseParts(step, { imageDigest: imageDigest ?? name, codeTrees, extensions });
    return { key: `sha256:${createHash("sha256").update(canonicalParts(parts)).digest("hex")}`, parts };
  }

  /** An earlier result whose outputs still point to what they pointed to, or why there is none. */
  async find(
    run: Pick<StoredRun, "workflow" | "project">,
    step: StepSpec,
    { key, parts }: ReuseKey,
  ): Promise<ReuseAnswer> {
    const { cache } = this.parts.store.read;
    const entry = await cache.get(key);
    if (!entry) return { hit: false, key, because: await this.difference(cache, run, step, parts) };
    for (const [output, value] of Object.entries(entry.outputs)) {
      const digest = await this.parts.witness.digestOf(value, run.project);
      if (digest === (entry.witnesses[output] ?? "")) continue;
      const what = digest === gone ? "is not there any more" : "has changed";
      return { hit: false, key, because: `what output ${output} of ${entry.runId} points to (${value}) ${what}` };
    }
    return { hit: true, key, entry };
  }

  private async difference(
    cache: Repositories["cache"],
    run: Pick<StoredRun, "workflow">,
    step: StepSpec,
    parts: ReuseParts,
  ): Promise<string> {
    const newest = await cache.newest(run.workflow, step.step);
    if (!newest) return "no earlier result is kept";
    const names = differingParts(newest.parts, parts);
    const shown = names.map((name) => describe(name, newest.parts[name], parts[name]));
    return `unlike in ${newest.runId}: ${shown.join("; ")}`;
  }

  /** What is to be kept of a step that succeeded. */
  async entryOf(
    run: StoredRun,
    step: Pick<StepSpec, "name" | "step">,
    { key, parts }: ReuseKey,
    outputs: Outputs,
  ): Promise<CacheEntry> {
    const witnesses: Record<string, string> = {};
    for (const [output, value] of Object.entries(outputs)) {
      const digest = await this.parts.witness.digestOf(value, run.project);
      if (digest) witnesses[output] = digest;
    }
    const now = instant(this.parts.clock);
    return {
      key,
      workflow: run.workflow,
      step: step.step,
      project: run.project,
      parts,
      runId: run.id,
      stepRun: step.name,
      outputs,
      witnesses,
      created: now,
      used: now,
    };
  }
}

const shortest = 60;
const cut = (text: string): string => (text.length > shortest ? `${text.slice(0, shortest)}…` : text);

function describe(name: string, before: string | undefined, now: string | undefined): string {
  if (before === undefined) return `${name} is new`;
  if (now === undefined) return `${name} is gone`;
  return `${name} was ${JSON.stringify(cut(before))}, is ${JSON.stringify(cut(now))}`;
}
