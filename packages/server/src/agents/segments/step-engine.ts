import type { FuseError } from "@fuseml/core/errors";
import type { Acceptance } from "@fuseml/core/run/choose-agent";
import type { KnownOutputs } from "@fuseml/core/run/complete";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { SegmentContext } from "../../runs/workload-agent.ts";

/** What an engine is given to start one step run. */
export type StepJob = {
  readonly step: StepSpec;
  readonly runId: string;
  /** Of this step run. What must be known of it after a crash is kept here. */
  readonly directory: string;
  /** Of steps that finished. */
  readonly known: KnownOutputs;
  readonly context: SegmentContext;
};

/** How a command ended. `gone`: it is dead and left no status; `failed`: the engine knows more than a status says. */
export type StepEnd =
  | { readonly type: "exited"; readonly code: number }
  | { readonly type: "failed"; readonly error: FuseError; readonly exitCode?: number }
  | { readonly type: "gone" };

/** What a step wrote for one of its outputs. The text is there when the size is within the limit. */
export type StepOutput = { readonly size: number; readonly text?: string };

/** A step's command, under way by this server's doing or a former one's. What it prints goes to `raw.log` of its directory. */
export interface RunningStep {
  /** The image that it runs, by digest, when it runs one. */
  readonly image?: string;
  /** Waits for the end; everything that was printed is in the raw log then. @throws FuseError when it cannot be known */
  ended(): Promise<StepEnd>;
  /** Of a command that has ended. */
  output(name: string): Promise<StepOutput | undefined>;
  /** Ends the command and its children; returns when they are gone. */
  stop(graceMs: number): Promise<void>;
  /** Removes what the engine keeps of a command that has ended, beside the directory. */
  dispose(): Promise<void>;
}

/** Where the steps of a segment run: processes, containers. The rest of an agent is the same for all of them. */
export interface StepEngine {
  readonly name: string;
  readonly zone: string;
  accepts(step: StepSpec): Acceptance;
  /** See `WorkloadAgent.imageDigest`. */
  imageDigest(image: string): Promise<string | undefined>;
  /**
   * Starts the command of a step in its directory, unless one was started there before: then that one is meant.
   * @param begin called at the moment from which it cannot be taken back; when it says no, nothing is started
   * @throws FuseError
   */
  start(job: StepJob, begin: () => boolean): Promise<RunningStep | undefined>;
  /** What was begun in the directory of a step, or nothing when nothing was. */
  adopt(directory: string): RunningStep | undefined;
  /** Nothing further is asked of it. */
  close(): void;
}
