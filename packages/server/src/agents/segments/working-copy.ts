import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { CodeStore } from "../../codesets/code-store.ts";

/**
 * Lays the codesets of a step out below a directory, each at its path.
 * @returns the path of the first one, where the step works; nothing when it has none
 */
export async function layOutCode(
  step: StepSpec,
  below: string,
  code: Pick<CodeStore, "checkout">,
): Promise<string | undefined> {
  let first: string | undefined;
  for (const { address, path } of step.codesets) {
    const parts = path.split("/").filter((part) => part && part !== "." && part !== "..");
    const target = join(below, ...parts);
    await code.checkout(address.project, address.name, address.version, target);
    markOrigin(target, address);
    first ??= parts.join("/");
  }
  return first;
}

/** The files by which upstream's images know where their code comes from; git does not see them. */
function markOrigin(directory: string, address: { project: string; name: string }): void {
  mkdirSync(join(directory, ".fuseml"), { recursive: true });
  writeFileSync(join(directory, ".fuseml", "_project"), address.name);
  writeFileSync(join(directory, ".fuseml", "_org"), address.project);
  const exclude = join(directory, ".git", "info", "exclude");
  if (existsSync(join(directory, ".git", "info"))) writeFileSync(exclude, ".fuseml/\n", { flag: "a" });
}
