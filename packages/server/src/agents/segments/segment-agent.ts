import { closeSync, existsSync, mkdirSync, openSync, readSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { failure } from "@fuseml/core/errors";
import type { Acceptance } from "@fuseml/core/run/choose-agent";
import type { Segment } from "@fuseml/core/run/plan";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { StepEvent } from "@fuseml/core/run/state";
import { writeAtomically } from "../../platform/files/atomic.ts";
import type { LogChunk, SegmentContext, WorkloadAgent } from "../../runs/workload-agent.ts";
import type { SegmentAgentParts } from "./parts.ts";
import { SegmentDriver } from "./segment-driver.ts";
import { begunSteps, files } from "./step-directory.ts";

type Work = {
  readonly driver: SegmentDriver;
  readonly events: StepEvent[];
  over: boolean;
  readonly waiting: Set<() => void>;
};

/** Events of so many milliseconds are told together. */
const tellTogetherMs = 1;

/** Runs segments on this machine, whatever engine its steps run on. Their logs and outcomes are files. */
export class SegmentAgent implements WorkloadAgent {
  readonly name: string;
  readonly zone: string;
  private readonly parts: SegmentAgentParts;
  private readonly work = new Map<string, Work>();

  constructor(parts: SegmentAgentParts) {
    this.parts = parts;
    this.name = parts.engine.name;
    this.zone = parts.engine.zone;
    mkdirSync(parts.directory, { recursive: true });
  }

  accepts(step: StepSpec): Acceptance {
    return this.parts.engine.accepts(step);
  }

  imageDigest(image: string): Promise<string | undefined> {
    return this.parts.engine.imageDigest(image);
  }

  async submit(segment: Segment, context: SegmentContext): Promise<void> {
    if (this.work.has(segment.id)) return;
    const events: StepEvent[] = [];
    const waiting = new Set<() => void>();
    let telling = false;
    // the end of a step and the start of the next are told together: one transaction for both
    const stir = () => {
      if (telling) return;
      telling = true;
      setTimeout(() => {
        telling = false;
        for (const wake of [...waiting]) wake();
      }, tellTogetherMs);
    };
    const directory = this.directoryOf(segment.id);
    mkdirSync(directory, { recursive: true });
    const driver = new SegmentDriver(segment, context, directory, this.parts, (event) => {
      events.push(event);
      stir();
    });
    const work: Work = { driver, events, over: false, waiting };
    this.work.set(segment.id, work);
    const end = () => {
      work.over = true;
      stir();
    };
    driver.finished.then(end, (error: unknown) => {
      this.parts.log.error({ err: error, segment: segment.id }, "the driver of a segment broke");
      end();
    });
  }

  async *observe(segmentId: string): AsyncIterable<readonly StepEvent[]> {
    const work = this.work.get(segmentId);
    if (!work) throw new Error(`segment ${segmentId} was not submitted`);
    for (let told = 0; ; ) {
      if (told < work.events.length) {
        const batch = work.events.slice(told);
        told += batch.length;
        yield batch;
      } else if (work.over) {
        this.work.delete(segmentId);
        return;
      } else {
        await new Promise<void>((resolve) => {
          const wake = () => {
            work.waiting.delete(wake);
            resolve();
          };
          work.waiting.add(wake);
        });
      }
    }
  }

  async cancel(segmentId: string, step?: string): Promise<void> {
    const driver = this.work.get(segmentId)?.driver;
    if (driver) return step === undefined ? driver.halt("cancel") : driver.haltStep(step);
    // what a former server began lives on: it is ended without being taken up
    const directory = this.directoryOf(segmentId);
    if (!existsSync(directory)) return;
    writeAtomically(join(directory, step ?? "", files.cancelled), "");
    const begun = begunSteps(directory).filter((name) => step === undefined || name === step);
    await Promise.all(begun.map((name) => this.end(join(directory, name))));
  }

  private async end(directory: string): Promise<void> {
    const left = this.parts.engine.adopt(directory);
    await left?.stop(this.parts.graceMs);
    await left?.dispose();
  }

  async drain(segmentId: string): Promise<readonly string[]> {
    const work = this.work.get(segmentId);
    if (work) return work.driver.drain();
    const directory = this.directoryOf(segmentId);
    if (existsSync(directory)) writeAtomically(join(directory, files.drained), "");
    return begunSteps(directory);
  }

  abandon(segmentId: string): void {
    this.work.get(segmentId)?.driver.abandon();
    this.work.delete(segmentId);
  }

  async forget(segmentId: string): Promise<void> {
    const directory = this.directoryOf(segmentId);
    await Promise.all(begunSteps(directory).map((name) => this.parts.engine.adopt(join(directory, name))?.dispose()));
    rmSync(directory, { recursive: true, force: true });
  }

  async *logs(
    segmentId: string,
    step: string,
    options: { from: number; follow: boolean; signal: AbortSignal },
  ): AsyncIterable<LogChunk> {
    const directory = join(this.directoryOf(segmentId), step);
    const log = join(directory, files.log);
    let offset = options.from;
    // a step that printed nothing has no log, and one that has begun has a directory
    if (!existsSync(directory) && !this.work.has(segmentId)) throw failure("log.gone", { step });
    const isOver = () => existsSync(join(directory, files.outcome)) || !this.work.has(segmentId);
    for (;;) {
      const over = isOver();
      while (existsSync(log) && statSync(log).size > offset) {
        const text = readFrom(log, offset);
        offset += Buffer.byteLength(text);
        yield { text, offset };
      }
      if (over || !options.follow || options.signal.aborted) return;
      await pause(100, undefined, { ref: false });
    }
  }

  async shutdown(): Promise<void> {
    await Promise.all([...this.work.values()].map(({ driver }) => driver.halt("shutdown")));
    this.parts.engine.close();
  }

  private directoryOf(segmentId: string): string {
    return join(this.parts.directory, segmentId);
  }
}

const readBytes = 256 * 1024;

/** Whole characters from an offset; at most 256 KiB. */
function readFrom(path: string, offset: number): string {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(readBytes);
    let count = readSync(file, buffer, 0, readBytes, offset);
    // do not cut a UTF-8 sequence: its continuation bytes start with the bits 10
    if (count === readBytes) {
      while (count > 0 && ((buffer[count - 1] ?? 0) & 0xc0) === 0x80) count -= 1;
      if ((buffer[count - 1] ?? 0) >= 0xc0) count -= 1;
    }
    return buffer.subarray(0, count).toString("utf8");
  } finally {
    closeSync(file);
  }
}
