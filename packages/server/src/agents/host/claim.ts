import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ProcessIdentity } from "../../platform/processes/identity.ts";
import { files } from "../segments/step-directory.ts";

/** The exit status of a step's command, once the line is complete. */
export function exitStatus(directory: string): number | undefined {
  const file = join(directory, files.exit);
  if (!existsSync(file)) return undefined;
  const match = /^(\d+)\n$/.exec(readFileSync(file, "utf8"));
  return match ? Number(match[1]) : undefined;
}

/** Who runs the step of a directory, or ran it. `torn`: the claim is there and not complete. */
export function readClaim(directory: string): ProcessIdentity | "torn" | undefined {
  const file = join(directory, files.claim);
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, "utf8")) as ProcessIdentity;
  } catch (error) {
    if (error instanceof SyntaxError) return "torn";
    throw error;
  }
}
