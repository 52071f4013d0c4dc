import type { CodeStore } from "../../codesets/code-store.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";
import type { ShellWorkers } from "../../platform/processes/shell-worker.ts";
import type { Slots } from "../slots.ts";
import type { HostRecipe } from "./recipes.ts";

/** What the host agent is made of. */
export type HostAgentParts = {
  /** Holds a directory for each segment. */
  readonly directory: string;
  readonly recipes: {
    find(image: string): HostRecipe | undefined;
    digest(image: string): string | undefined;
  };
  readonly code: Pick<CodeStore, "checkout">;
  readonly clock: Clock;
  readonly log: Log;
  /** They give a step what it sees of this machine's environment. */
  readonly workers: ShellWorkers;
  readonly slots: Slots;
  readonly namespace: string;
  readonly zone: string;
  /** Between asking a process to end and making it end. */
  readonly graceMs: number;
  /** A step that prints more is ended. */
  readonly logLimitBytes: number;
};
