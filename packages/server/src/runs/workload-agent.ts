import type { Acceptance, ResolvedVariables, Segment } from "@fuseml/core/run/plan";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { Outputs, StepEvent } from "@fuseml/core/run/state";

/** What the agent needs beside the segment. It holds secrets: never to be written anywhere but into a step's environment. */
export type SegmentContext = {
  readonly workflow: string;
  readonly project: string;
  readonly serverUrl: string;
  /** Scoped to the run. */
  readonly token: string;
  /** Outputs of steps that finished in earlier segments, or before a crash. */
  readonly finished: ReadonlyMap<string, Outputs>;
  /** For each step: the variables of its extensions, and which of the values are secret. */
  readonly extensions: Readonly<
    Record<string, { readonly variables: ResolvedVariables; readonly secrets: readonly string[] }>
  >;
};

/** Whole lines of a step's log, secrets masked. `offset` is where the text ends, in bytes of the masked log. */
export type LogChunk = { readonly text: string; readonly offset: number };

/** A size limit of a value output, in bytes. Larger things belong in an artifact store. */
export const outputLimitBytes = 32 * 1024;

/** Runs segments somewhere. Every method may be called again after a crash of either side. */
export interface WorkloadAgent {
  readonly name: string;
  /** Whether this agent can take the step. The planner asks; it never guesses. */
  accepts(step: StepSpec): Acceptance;
  /** Starts the segment, or takes up the one already started with this id. */
  submit(segment: Segment, context: SegmentContext): Promise<void>;
  /**
   * What happens to a submitted segment, from its beginning, in order for each step, at least once;
   * events that are there together come together. Ends with the segment.
   */
  observe(segmentId: string): AsyncIterable<readonly StepEvent[]>;
  /** Ends the processes of the segment and their children; returns when they are gone. No further step starts. */
  cancel(segmentId: string): Promise<void>;
  /** The log of a step from a byte offset; with `follow`, until the step ends. Also of segments long over. */
  logs(
    segmentId: string,
    step: string,
    options: { from: number; follow: boolean; signal: AbortSignal },
  ): AsyncIterable<LogChunk>;
  /**
   * Stops working for this server. Steps under way are interrupted and will be started afresh when the segment is
   * submitted again: an interruption is not a failure.
   */
  shutdown(): Promise<void>;
}
