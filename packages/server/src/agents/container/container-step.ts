import { closeSync, existsSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { failure } from "@fuseml/core/errors";
import type Docker from "dockerode";
import { outputLimitBytes } from "../../runs/workload-agent.ts";
import { files } from "../segments/step-directory.ts";
import type { RunningStep, StepEnd, StepOutput } from "../segments/step-engine.ts";
import { readFiles } from "./archive.ts";
import type { ConnectedEngine } from "./engine-address.ts";
import { isUnreachable, startFailure, statusOf, wordsOf } from "./engine-errors.ts";

/** What is kept of a container in the directory of its step. */
export type ContainerClaim = {
  readonly container: string;
  /** By digest. */
  readonly image: string;
  readonly imageArchitecture: string;
  /** Bytes of the raw log that FuseML itself wrote before the container was started. */
  readonly preface: number;
  readonly memoryLimit?: number;
};

/** Where a step of a container writes its outputs: upstream's images know this place. */
export const resultsPath = "/tekton/results";

const pollMs = 250;
/** An engine that does not answer for so long is taken for gone. */
const goneAfterMs = 8000;
/** So long the log may go on after the container has ended. */
const logEndsWithinMs = 2000;

/** What was claimed in the directory of a step. A torn claim is none: the container was not started. */
export function readContainerClaim(directory: string): ContainerClaim | undefined {
  const file = join(directory, files.container);
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, "utf8")) as ContainerClaim;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** A step in a container of an engine, started by this server or by a former one. */
export class ContainerStep implements RunningStep {
  readonly image: string;
  private readonly engine: ConnectedEngine;
  private readonly claim: ContainerClaim;
  private readonly directory: string;
  private outputs: ReadonlyMap<string, StepOutput> | undefined;

  constructor(engine: ConnectedEngine, directory: string, claim: ContainerClaim) {
    this.engine = engine;
    this.directory = directory;
    this.claim = claim;
    this.image = claim.image;
  }

  private get container(): Docker.Container {
    return this.engine.docker.getContainer(this.claim.container);
  }

  async ended(): Promise<StepEnd> {
    for (let silentSince: number | undefined; ; ) {
      try {
        const end = await this.watch();
        if (end) return end;
        silentSince = undefined;
      } catch (error) {
        // 409: someone is removing it
        if ([404, 409].includes(statusOf(error) ?? 0)) return { type: "gone" };
        if (!isUnreachable(error)) throw failure("container.engine-gone", { reason: wordsOf(error) }, { cause: error });
        silentSince ??= performance.now();
        if (performance.now() - silentSince > goneAfterMs)
          throw failure("container.engine-gone", { reason: wordsOf(error) }, { cause: error });
      }
      await sleep(pollMs, undefined, { ref: false });
    }
  }

  /** Until the container ends; nothing when the engine hung up before. */
  private async watch(): Promise<StepEnd | undefined> {
    const before = await this.container.inspect();
    // claimed, and the server was killed before it was started
    if (before.State.Status === "created") await this.start();
    const log = await this.copyLog({ follow: true });
    try {
      await this.container.wait();
      await Promise.race([log.ended, sleep(logEndsWithinMs, undefined, { ref: false })]);
    } finally {
      log.close();
    }
    const { State: state } = await this.container.inspect();
    if (state.Running || state.Status === "created") return undefined;
    if (this.engine.kind === "podman") {
      // it may stop following before it has told everything: what is missing is fetched
      const rest = await this.copyLog({ follow: false });
      await rest.ended;
      rest.close();
    }
    return this.judge(state);
  }

  /** @throws FuseError */
  async start(): Promise<void> {
    try {
      await this.container.start();
    } catch (error) {
      // it is running already
      if (statusOf(error) === 304) return;
      throw startFailure(this.image, error);
    }
  }

  private judge(state: Docker.ContainerInspectInfo["State"]): StepEnd {
    const { ExitCode: code, OOMKilled: outOfMemory } = state;
    const { memoryLimit, imageArchitecture } = this.claim;
    const killed = code === 137 && memoryLimit !== undefined;
    if (outOfMemory || killed) {
      const limit = memoryLimit === undefined ? "" : ` of ${Math.round(memoryLimit / 2 ** 20)} MiB`;
      const error = failure("step.out-of-memory", { limit, sure: outOfMemory });
      return { type: "failed", error, exitCode: code };
    }
    if (
      code !== 0 &&
      imageArchitecture !== this.engine.architecture &&
      this.lastWords().includes("exec format error")
    ) {
      const { image } = this;
      const of = { image, architecture: imageArchitecture, reason: `this engine runs ${this.engine.architecture}` };
      return { type: "failed", error: failure("image.wrong-architecture", of), exitCode: code };
    }
    return { type: "exited", code };
  }

  private async openLog(follow: boolean): Promise<NodeJS.ReadableStream> {
    const what = { stdout: true, stderr: true } as const;
    if (follow) return this.container.logs({ ...what, follow: true });
    return Readable.from([await this.container.logs({ ...what, follow: false })]);
  }

  private lastWords(): string {
    const raw = join(this.directory, files.raw);
    return existsSync(raw) ? readFileSync(raw, "utf8").slice(-2000) : "";
  }

  /** Brings the raw log up to date and goes on; what is there already, of this try or before a crash, is passed over. */
  private async copyLog({ follow }: { follow: boolean }): Promise<{ readonly ended: Promise<void>; close(): void }> {
    const raw = join(this.directory, files.raw);
    let known = existsSync(raw) ? Math.max(0, statSync(raw).size - this.claim.preface) : 0;
    const stream = await this.openLog(follow);
    const file = openSync(raw, "a", 0o600);
    let open = true;
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        const fresh = chunk.subarray(Math.min(known, chunk.length));
        known -= chunk.length - fresh.length;
        if (fresh.length > 0 && open) writeSync(file, fresh);
        done();
      },
    });
    this.engine.docker.modem.demuxStream(stream, sink, sink);
    const ended = new Promise<void>((resolve) => {
      for (const event of ["end", "close", "error"]) stream.once(event, () => resolve());
    });
    return {
      ended,
      close: () => {
        if (!open) return;
        open = false;
        (stream as NodeJS.ReadableStream & { destroy?: () => void }).destroy?.();
        closeSync(file);
      },
    };
  }

  async output(name: string): Promise<StepOutput | undefined> {
    this.outputs ??= await this.readOutputs();
    return this.outputs.get(name);
  }

  private async readOutputs(): Promise<ReadonlyMap<string, StepOutput>> {
    try {
      return await readFiles(await this.container.getArchive({ path: resultsPath }), outputLimitBytes);
    } catch (error) {
      // the step removed the directory
      if (statusOf(error) === 404) return new Map();
      throw failure("container.engine-gone", { reason: wordsOf(error) }, { cause: error });
    }
  }

  async stop(graceMs: number): Promise<void> {
    try {
      await this.container.stop({ t: Math.ceil(graceMs / 1000) });
    } catch (error) {
      // it has ended, or is gone, already
      if (![304, 404].includes(statusOf(error) ?? 0)) throw error;
    }
  }

  async dispose(): Promise<void> {
    await removeContainer(this.container);
  }
}

/** Removes a container with its anonymous volumes, whatever it does. One that is gone is no error. */
export async function removeContainer(container: Docker.Container): Promise<void> {
  try {
    await container.remove({ force: true, v: true });
  } catch (error) {
    // 409: someone else is removing it
    if (![404, 409].includes(statusOf(error) ?? 0)) throw error;
  }
}
