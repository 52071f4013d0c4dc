import type { CodeStore } from "../../codesets/code-store.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";
import type { HostRecipe } from "./recipes.ts";

/** What the host agent is made of. */
export type HostAgentParts = {
  /** Holds a directory for each segment. */
  readonly directory: string;
  readonly recipes: { find(image: string): HostRecipe | undefined };
  readonly code: Pick<CodeStore, "checkout">;
  readonly clock: Clock;
  readonly log: Log;
  /** What a step sees of this machine's environment. */
  readonly baseEnv: Readonly<Record<string, string>>;
  readonly namespace: string;
  /** Between asking a process to end and making it end. */
  readonly graceMs: number;
};
