import type { Clock } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";
import type { Slots } from "./slots.ts";
import type { StepEngine } from "./step-engine.ts";

/** What an agent on this machine is made of. */
export type SegmentAgentParts = {
  readonly engine: StepEngine;
  /** Holds a directory for each segment. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly slots: Slots;
  /** Between asking a command to end and making it end. */
  readonly graceMs: number;
  /** A step that prints more is ended. */
  readonly logLimitBytes: number;
};
