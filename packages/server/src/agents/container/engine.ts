import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { failure } from "@fuseml/core/errors";
import type { Acceptance } from "@fuseml/core/run/choose-agent";
import { parseQuantity } from "@fuseml/core/run/quantity";
import type { StepSpec } from "@fuseml/core/run/spec";
import { literal } from "@fuseml/core/workflow/expression";
import type Docker from "dockerode";
import type { CodeStore } from "../../codesets/code-store.ts";
import { writeAtomically } from "../../platform/files/atomic.ts";
import type { Log } from "../../platform/log.ts";
import { files, isDismissed } from "../segments/step-directory.ts";
import type { RunningStep, StepEngine, StepJob } from "../segments/step-engine.ts";
import { stepVariables } from "../segments/step-variables.ts";
import { layOutCode } from "../segments/working-copy.ts";
import { type Owner, packTree } from "./archive.ts";
import { resourceOptions, tooLarge } from "./container-options.ts";
import {
  type ContainerClaim,
  ContainerStep,
  readContainerClaim,
  removeContainer,
  resultsPath,
} from "./container-step.ts";
import { type ConnectedEngine, socketPath } from "./engine-address.ts";
import { isMountRace, startFailure, statusOf } from "./engine-errors.ts";
import type { Images, ReadyImage } from "./images.ts";
import type { StepEnvironment } from "./step-environment.ts";

/** What the container engine is made of. */
export type ContainerEngineParts = {
  readonly engine: ConnectedEngine;
  readonly images: Images;
  readonly code: Pick<CodeStore, "checkout">;
  /** The agent's: holds a directory for each segment. */
  readonly directory: string;
  readonly log: Log;
  readonly namespace: string;
  readonly zone: string;
  /** `host`, `bridge`, `none` or the name of a network. */
  readonly network: string;
  /** How steps reach the server, when it is not as everybody does. */
  readonly serverUrl?: string;
  /** For every step: proxies, package indexes, certificates. */
  readonly environment: StepEnvironment;
  /** Variables for steps that build images; these steps reach the engine, too. */
  /** Whether an image may be started here at all; when not, another agent is asked. */
  readonly has: (image: string) => boolean;
  readonly builder: { isBuilder(image: string): boolean; readonly env: Readonly<Record<string, string>> };
};

const label = "dev.fuseml";
/** Podman loses count of what it mounted when many containers are filled at once: another container is tried then. */
const startAttempts = 6;
const socketInStep = "/run/fuseml/engine.sock";

/** Runs steps as containers of a Docker or Podman engine. Nothing of this machine's files is shared with them. */
export class ContainerEngine implements StepEngine {
  readonly name = "container";
  readonly zone: string;
  private readonly parts: ContainerEngineParts;
  /** Tells containers of this agent from those of others on the same engine. */
  readonly owner: string;

  constructor(parts: ContainerEngineParts) {
    this.parts = parts;
    this.zone = parts.zone;
    this.owner = createHash("sha256").update(resolve(parts.directory)).digest("hex").slice(0, 12);
  }

  accepts(step: StepSpec): Acceptance {
    const { zone, parts } = this;
    if (step.zone !== undefined && step.zone !== zone)
      return {
        accepted: false,
        reason: failure("step.zone-unknown", { step: step.name, zone: step.zone, known: zone }),
      };
    const reason = tooLarge(step.resources, parts.engine);
    if (reason) return { accepted: false, reason: failure("step.too-large", { step: step.name, reason }) };
    const image = literal(step.image);
    if ("text" in image && image.text.startsWith("fuseml.local/"))
      return {
        accepted: false,
        reason: failure("container.host-image", { step: step.name, image: image.text }),
      };
    if ("text" in image && !this.parts.has(image.text)) {
      const reason = "it has not been made yet";
      return {
        accepted: false,
        reason: failure("image.not-found", { image: this.parts.images.nameOf(image.text), reason }),
      };
    }
    return { accepted: true };
  }

  imageDigest(image: string): Promise<string | undefined> {
    return this.parts.images.digest(image);
  }

  async start(job: StepJob, begin: () => boolean): Promise<RunningStep | undefined> {
    const { directory } = job;
    const { images } = this.parts;
    mkdirSync(directory, { recursive: true });
    const raw = join(directory, files.raw);
    rmSync(raw, { force: true });
    const variables = stepVariables(job, {
      results: resultsPath,
      namespace: this.parts.namespace,
      ...(this.parts.serverUrl === undefined ? {} : { serverUrl: this.parts.serverUrl }),
    });
    const { image: name } = variables;
    const image = await images.ensure(name, (line) => appendFileSync(raw, `${line}\n`, { mode: 0o600 }));
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.startIn(await this.create(job, variables, image), job, image, begin);
      } catch (error) {
        const { cause = error } = error as { cause?: unknown };
        if (!isMountRace(cause) || attempt === startAttempts) throw error;
      }
    }
  }

  /** Fills a new container and starts it; what does not start is removed. */
  private async startIn(
    container: Docker.Container,
    job: StepJob,
    image: ReadyImage,
    begin: () => boolean,
  ): Promise<RunningStep | undefined> {
    const { directory, step } = job;
    const raw = join(directory, files.raw);
    try {
      await container.putArchive(await this.contents(job, image), { path: "/" });
      if (!begin()) {
        await removeContainer(container);
        return undefined;
      }
      const memory = step.resources?.limits?.memory;
      const memoryLimit = memory === undefined ? undefined : parseQuantity(memory);
      const claim: ContainerClaim = {
        container: container.id,
        image: image.reference,
        imageArchitecture: image.architecture,
        preface: existsSync(raw) ? statSync(raw).size : 0,
        ...(memoryLimit === undefined ? {} : { memoryLimit }),
      };
      writeAtomically(join(directory, files.container), JSON.stringify(claim));
      const running = new ContainerStep(this.parts.engine, directory, claim);
      await running.start();
      return running;
    } catch (error) {
      await removeContainer(container);
      rmSync(join(directory, files.container), { force: true });
      throw (error as { hint?: string }).hint === undefined ? startFailure(image.reference, error) : error;
    } finally {
      rmSync(join(directory, files.work), { recursive: true, force: true });
    }
  }

  private async create(
    job: StepJob,
    { image: name, env, command, args }: ReturnType<typeof stepVariables>,
    image: ReadyImage,
  ): Promise<Docker.Container> {
    const { engine, network, builder } = this.parts;
    const { step, runId, directory } = job;
    const [first] = step.codesets;
    const builds = builder.isBuilder(name);
    const socket = socketPath(engine.address);
    const variables = { ...this.parts.environment.env, ...(builds ? builder.env : {}), ...env };
    const socketBind = builds && socket ? [`${socket}:${socketInStep}`] : [];
    const options: Docker.ContainerCreateOptions = {
      name: `fuseml-${this.owner}-${this.pathOf(directory).join("-")}`.replaceAll(/[^a-zA-Z0-9_.-]/g, "-"),
      Image: image.id,
      Env: Object.entries(variables).map(([variable, value]) => `${variable}=${value}`),
      Labels: {
        [`${label}.owner`]: this.owner,
        [`${label}.run`]: runId,
        [`${label}.segment`]: this.pathOf(directory)[0] ?? "",
        [`${label}.step`]: step.name,
        [`${label}.attempt`]: String(step.attempt),
      },
      ...(first ? { WorkingDir: `/${first.path.split("/").filter(Boolean).join("/")}` } : {}),
      ...(command ? { Entrypoint: [...command] } : {}),
      ...(args ? { Cmd: [...args] } : {}),
      HostConfig: {
        NetworkMode: network,
        LogConfig: { Type: "json-file", Config: {} },
        ...(network === "host" || network === "none" ? {} : { ExtraHosts: ["host.docker.internal:host-gateway"] }),
        ...(socketBind.length > 0 ? { Binds: socketBind } : {}),
        ...resourceOptions(step.resources),
      },
    };
    try {
      return await this.createAfresh(options);
    } catch (error) {
      throw startFailure(name, error);
    }
  }

  /** A container of this name that was never claimed is what an interrupted start left. */
  private async createAfresh(options: Docker.ContainerCreateOptions): Promise<Docker.Container> {
    const { docker } = this.parts.engine;
    try {
      return await docker.createContainer(options);
    } catch (error) {
      if (statusOf(error) !== 409 && !/already in use/.test(String(error))) throw error;
      await removeContainer(docker.getContainer(options.name ?? ""));
      return docker.createContainer(options);
    }
  }

  /** Its codesets at their paths, and a place for its outputs. */
  private async contents({ step, directory }: StepJob, image: ReadyImage): Promise<NodeJS.ReadableStream> {
    const work = join(directory, files.work);
    rmSync(work, { recursive: true, force: true });
    mkdirSync(work, { recursive: true });
    await layOutCode(step, work, this.parts.code);
    return packTree(work, ownerOf(image.user), [resultsPath], this.parts.environment.files);
  }

  /** Segment and step of a step's directory. */
  private pathOf(directory: string): readonly string[] {
    return directory.split("/").slice(-2);
  }

  adopt(directory: string): RunningStep | undefined {
    const claim = readContainerClaim(directory);
    return claim && new ContainerStep(this.parts.engine, directory, claim);
  }

  /** Removes containers that nobody watches any more: of steps that are over, cancelled or forgotten. */
  async sweep(): Promise<void> {
    const { docker } = this.parts.engine;
    const owned = await docker.listContainers({ all: true, filters: { label: [`${label}.owner=${this.owner}`] } });
    for (const { Id: id, Labels: labels } of owned) {
      const directory = join(this.parts.directory, labels[`${label}.segment`] ?? "", labels[`${label}.step`] ?? "");
      const claim = readContainerClaim(directory);
      if (claim?.container === id && !isDismissed(directory)) continue;
      this.parts.log.info({ container: id, step: labels[`${label}.step`] }, "a container that was left is removed");
      await removeContainer(docker.getContainer(id));
    }
  }

  close(): void {
    // connections to the engine end with their requests
  }
}

/** Whom the files of a step belong to: the user that its image names, when it is a number. */
function ownerOf(user: string): Owner {
  const [uid = "", gid] = user.split(":");
  if (uid === "" || uid === "root") return { uid: 0, gid: 0, open: false };
  if (!/^\d+$/.test(uid)) return { uid: 0, gid: 0, open: true };
  return { uid: Number(uid), gid: gid !== undefined && /^\d+$/.test(gid) ? Number(gid) : 0, open: false };
}

export { socketInStep };
