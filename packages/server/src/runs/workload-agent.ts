import type { Acceptance } from "@fuseml/core/run/choose-agent";
import type { KnownOutputs, ResolvedVariables } from "@fuseml/core/run/complete";
import type { Segment } from "@fuseml/core/run/plan";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { StepEvent } from "@fuseml/core/run/state";

/** What the agent needs beside the segment. It holds secrets: never to be written anywhere but into a step's environment. */
export type SegmentContext = {
  readonly workflow: string;
  readonly project: string;
  readonly serverUrl: string;
  /** Scoped to the run. */
  readonly token: string;
  /** Outputs of steps that finished in earlier segments, or before a crash: these are not run. */
  readonly finished: KnownOutputs;
  /** How many steps may run at once, of this run and of its project; absent for no limit. */
  readonly limits?: { readonly run?: number; readonly project?: number };
  /** For each step: the variables of its extensions, and which of the values are secret. */
  readonly extensions: Readonly<
    Record<string, { readonly variables: ResolvedVariables; readonly secrets: readonly string[] }>
  >;
};

/** Whole lines of a step's log, secrets masked. `offset` is where the text ends, in bytes of the masked log. */
export type LogChunk = { readonly text: string; readonly offset: number };

/** A size limit of a value output, in bytes. Larger things belong in an artifact store. */
export const outputLimitBytes = 32 * 1024;
/** A size limit of a value that a step is given, in bytes: what an environment variable can hold. */
export const inputLimitBytes = 128 * 1024 - 1024;

/** Runs segments somewhere. Every method may be called again after a crash of either side. */
export interface WorkloadAgent {
  readonly name: string;
  /** Whether this agent can take the step. The planner asks; it never guesses. */
  accepts(step: StepSpec): Acceptance;
  /** Where its steps run, as `zone` in a workflow names it. */
  readonly zone: string;
  /** A digest of what an image means to this agent; nothing when it does not know the image. */
  imageDigest(image: string): Promise<string | undefined>;
  /** Starts the segment, or takes up the one already started with this id. */
  submit(segment: Segment, context: SegmentContext): Promise<void>;
  /**
   * What happens to a submitted segment, from its beginning, in order for each step, at least once;
   * events that are there together come together. A step starts when those it needs have succeeded, and steps that do not
   * need each other run side by side; one that fails holds up only those that need it. Ends with the segment.
   */
  observe(segmentId: string): AsyncIterable<readonly StepEvent[]>;
  /**
   * Ends the processes of the segment and their children; returns when they are gone. No further step starts, now or when
   * it is submitted again. Nothing is told of what was ended. With `step`, only of that step run: others go on.
   */
  cancel(segmentId: string, step?: string): Promise<void>;
  /**
   * No further step of the segment starts, now or when it is submitted again; those under way run to their end.
   * @returns the step runs that have been started. An unknown segment has none
   */
  drain(segmentId: string): Promise<readonly string[]>;
  /**
   * The log of a step from a byte offset; with `follow`, until the step ends. Also of segments long over.
   * @throws `log.gone` when it was removed
   */
  logs(
    segmentId: string,
    step: string,
    options: { from: number; follow: boolean; signal: AbortSignal },
  ): AsyncIterable<LogChunk>;
  /** Another server has taken the segment over: it is forgotten here. What is under way goes on; nothing further starts. */
  abandon(segmentId: string): void;
  /** Removes everything that is kept of a segment that is over: its logs, too. */
  forget(segmentId: string): Promise<void>;
  /**
   * Stops working for this server. Steps under way are interrupted and will be started afresh when the segment is
   * submitted again: an interruption is not a failure.
   */
  shutdown(): Promise<void>;
}
