import { existsSync } from "node:fs";
import { failure } from "@fuseml/core/errors";
import { ContainerEngine, socketInStep } from "./agents/container/engine.ts";
import { type ConnectedEngine, findEngine } from "./agents/container/engine-address.ts";
import { ImageNames } from "./agents/container/image-names.ts";
import { Images } from "./agents/container/images.ts";
import { OwnImages } from "./agents/container/own-images.ts";
import { loginFiles } from "./agents/container/registry-login.ts";
import { stepEnvironment } from "./agents/container/step-environment.ts";
import { HostEngine } from "./agents/host/engine.ts";
import type { HostRecipes } from "./agents/host/recipes.ts";
import { SegmentAgent } from "./agents/segments/segment-agent.ts";
import { Slots } from "./agents/segments/slots.ts";
import type { CodeStore } from "./codesets/code-store.ts";
import type { Configuration } from "./configuration.ts";
import type { layout } from "./data-directory.ts";
import type { Clock } from "./platform/clock.ts";
import type { Log } from "./platform/log.ts";
import { ShellWorkers } from "./platform/processes/shell-worker.ts";
import type { ImageRegistry } from "./registry/image-registry.ts";

type Parts = {
  readonly configuration: Configuration;
  readonly at: ReturnType<typeof layout>;
  readonly registry: ImageRegistry | undefined;
  readonly recipes: HostRecipes;
  readonly code: CodeStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly baseEnv: Readonly<Record<string, string>>;
  readonly version: string;
};

/** How FuseML's own step images begin in workflows, as upstream published them. */
const published = "ghcr.io/fuseml/";
const graceMs = 3000;

/** The agents of this machine, the preferred one first: the planner gives a step to the first one that accepts it. */
export async function openAgents(parts: Parts): Promise<readonly SegmentAgent[]> {
  const { configuration, log } = parts;
  const agents: SegmentAgent[] = [];
  for (const name of configuration.agents ?? ["host"]) {
    agents.push(name === "host" ? hostAgent(parts) : await containerAgent(parts, await engineOf(parts)));
  }
  log.info({ agents: agents.map((agent) => `${agent.name} (zone ${agent.zone})`) }, "steps run here");
  return agents;
}

/** Settles which agents there are: a container engine that answers is used unless the configuration names others. */
export async function chooseAgents(configuration: Configuration, log: Log): Promise<Configuration> {
  if (configuration.agents) return configuration;
  const { engine, silent } = await findEngine(process.env);
  for (const reason of silent) log.warn({ reason }, "a container engine does not answer");
  return { ...configuration, agents: engine ? ["container", "host"] : ["host"] };
}

function hostAgent({ configuration, at, recipes, code, clock, log, baseEnv }: Parts): SegmentAgent {
  const { namespace, zone, hostParallelism, logLimitBytes } = configuration;
  return new SegmentAgent({
    engine: new HostEngine({ recipes, code, workers: new ShellWorkers(baseEnv), namespace, zone }),
    directory: at.segments,
    clock,
    log,
    slots: new Slots(hostParallelism),
    graceMs,
    logLimitBytes,
  });
}

async function engineOf({ log }: Parts): Promise<ConnectedEngine> {
  const { engine, silent } = await findEngine(process.env);
  if (!engine) throw failure("container.no-engine", { tried: silent.join("; ") });
  log.info({ engine: engine.title }, "container engine");
  return engine;
}

async function containerAgent(parts: Parts, engine: ConnectedEngine): Promise<SegmentAgent> {
  const { configuration, at, registry, code, clock, log, baseEnv, version } = parts;
  const { namespace, logLimitBytes, containers: of } = configuration;
  const address = registry?.address ?? (of.registry === "embedded" || of.registry === "none" ? undefined : of.registry);
  const own = of.imageRegistry ?? `${address ?? "localhost"}/fuseml`;
  const names = new ImageNames([{ image: `${published}*`, as: `${own}/*` }], at.images, version);
  const builderImage = `${published}mlflow-builder`;
  // with the host beside it, it does not have to fail for want of FuseML's own images
  const ownImages = new OwnImages(
    (image) => configuration.agents?.includes("host") === true && names.isOwn(image),
    async () => {
      if (registry) return (await registry.digestOf("fuseml/mlflow-builder", version)) !== undefined;
      // in a registry of the user's they are taken to be
      return address !== undefined || of.imageRegistry !== undefined;
    },
  );
  await ownImages.refresh();
  const containers = new ContainerEngine({
    engine,
    has: (image) => ownImages.has(image, (error) => log.warn({ err: error }, "the registry does not tell its images")),
    images: new Images({ engine, names, policy: of.pullPolicy, loginFiles: loginFiles(process.env), registry }),
    code,
    directory: at.containerSegments,
    log,
    namespace,
    zone: of.zone,
    network: of.network,
    environment: stepEnvironment(baseEnv, of.caBundle && existsSync(of.caBundle) ? of.caBundle : undefined),
    builder: {
      isBuilder: (image) => image === builderImage || image.startsWith(`${builderImage}:`),
      env: {
        FUSEML_BUILD_ENGINE: `unix://${socketInStep}`,
        ...(of.baseImage === undefined ? {} : { FUSEML_BASE_IMAGE: of.baseImage }),
        FUSEML_RUNTIME_IMAGE: `${own}/mlflow-runtime:${version}`,
        ...(address === undefined ? {} : { FUSEML_BUILTIN_REGISTRY: address }),
      },
    },
  });
  await containers.sweep();
  return new SegmentAgent({
    engine: containers,
    directory: at.containerSegments,
    clock,
    log,
    slots: new Slots(of.parallelism),
    graceMs,
    logLimitBytes,
  });
}
