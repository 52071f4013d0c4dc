import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { StepEvent } from "@fuseml/core/run/state";

/** What is in the directory of a segment beside its steps, and in the directory of a step. */
export const files = {
  /** Of a segment or a step: what was cancelled stays so. */
  cancelled: "cancelled",
  /** Of a segment: no further step starts. */
  drained: "drained",
  /** How the step ended, as it was told. */
  outcome: "outcome.json",
  /** Who runs the step. It is there before the step starts. */
  claim: "process.json",
  /** The same of a step that runs in a container. */
  container: "container.json",
  /** The exit status of the command, in a line. */
  exit: "exit",
  /** What the step prints, readable by the owner only. */
  raw: "raw.log",
  /** The same with the secrets masked. */
  log: "log",
  results: "results",
  work: "work",
} as const;

/** How the step of a directory ended, as it was told. A record that a power cut tore is none: it is judged once more. */
export function readOutcome(directory: string): StepEvent | undefined {
  const file = join(directory, files.outcome);
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, "utf8")) as StepEvent;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** When the step of a directory was begun, in milliseconds since 1970; nothing before. */
export function begunAt(directory: string): number | undefined {
  const claim = [files.claim, files.container].map((file) => join(directory, file)).find(existsSync);
  return claim === undefined ? undefined : statSync(claim).mtimeMs;
}

/** Whether the step of a directory has been begun, or is over. */
export const isBegun = (directory: string): boolean =>
  [files.claim, files.container, files.exit, files.outcome].some((file) => existsSync(join(directory, file)));

/** The steps of a segment that have been begun. */
export const begunSteps = (segmentDirectory: string): readonly string[] =>
  existsSync(segmentDirectory)
    ? readdirSync(segmentDirectory, { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && isBegun(join(segmentDirectory, entry.name)))
        .map((entry) => entry.name)
    : [];

/** Whether nothing is left to watch of the step of a directory: it is over, or was cancelled. */
export const isDismissed = (directory: string): boolean =>
  [join(directory, files.outcome), join(directory, files.cancelled), join(dirname(directory), files.cancelled)].some(
    existsSync,
  );
