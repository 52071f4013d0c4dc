import { existsSync, mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { fileURLToPath } from "node:url";
import { failure } from "@fuseml/core/errors";
import { EnvironmentStore } from "@fuseml/environments/store";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { AccessService, basicOf } from "./access/service.ts";
import { hostEnvironment } from "./agents/host/environment.ts";
import { HostRecipes } from "./agents/host/recipes.ts";
import { apiRoutes } from "./api/index.ts";
import { forwardToOwner } from "./api/owner-forwarding.ts";
import { ApplicationService } from "./applications/service.ts";
import { ArtifactService } from "./artifacts/service.ts";
import { CodesetService } from "./codesets/service.ts";
import { openAgents } from "./compose-agents.ts";
import { openRegistry } from "./compose-registry.ts";
import type { Configuration } from "./configuration.ts";
import { layout } from "./data-directory.ts";
import { ExtensionInstaller } from "./extensions/installer.ts";
import { ExtensionService } from "./extensions/service.ts";
import { type Clock, instant } from "./platform/clock.ts";
import { Hub } from "./platform/events/hub.ts";
import { writeAtomically } from "./platform/files/atomic.ts";
import { addRoutes, httpServer } from "./platform/http/server.ts";
import { ids } from "./platform/ids.ts";
import type { Log } from "./platform/log.ts";
import { Supervisor } from "./platform/processes/supervisor.ts";
import { cipher, loadKey } from "./platform/secrets/cipher.ts";
import { systemTimers } from "./platform/timers.ts";
import { ProjectService } from "./projects/service.ts";
import { RegistryService } from "./registry/service.ts";
import { RunnableService } from "./runnables/service.ts";
import { Engine } from "./runs/engine.ts";
import { Interventions } from "./runs/interventions.ts";
import { Launcher } from "./runs/launcher.ts";
import { Replicas } from "./runs/replicas.ts";
import { Retention } from "./runs/retention.ts";
import { Reuse } from "./runs/reuse.ts";
import { RunLogs } from "./runs/run-logs.ts";
import { Scheduler } from "./runs/scheduler.ts";
import { RunService } from "./runs/service.ts";
import type { WorkloadAgent } from "./runs/workload-agent.ts";
import { gatewayRoutes } from "./serving/gateway.ts";
import { InferenceServices } from "./serving/inference-services.ts";
import { kserveRoutes } from "./serving/kserve-api.ts";
import { ModelServers } from "./serving/model-server.ts";
import { postgresStore, type Store, sqliteStore } from "./state/store.ts";
import { GitCodeStore } from "./stores/git/git-code-store.ts";
import { gitHttp } from "./stores/git/smart-http.ts";
import { OutputWitness } from "./stores/output-witness.ts";
import { Webhooks } from "./webhooks/service.ts";
import { WorkflowService } from "./workflows/service.ts";

export const version = "0.4.0";

export type Server = {
  readonly app: FastifyInstance;
  /** Takes up what was under way. After `listen`. */
  resume(): Promise<void>;
  /** Ends everything that the server started. */
  close(): Promise<void>;
};

const inRepository = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const stepProgram = (name: string): string => inRepository(`packages/steps/src/${name}/main.ts`);

/**
 * Wires adapters, services and HTTP: what the server is made of.
 * @param url how steps and people reach it
 * @param open how the database is opened: a parameter, so that tests can stand in between
 */
export async function compose(
  configuration: Configuration,
  url: string,
  clock: Clock,
  log: Log,
  open: typeof openStore = openStore,
): Promise<Server> {
  const at = layout(configuration.dataDir);
  mkdirSync(at.root, { recursive: true, mode: 0o700 });
  const key = loadKey(configuration.secretKey, at.key);
  const sealing = cipher(key);
  const newId = ids(clock);
  const hub = new Hub();
  const store = await open(configuration, at.database, log);
  const baseEnv = hostEnvironment(process.env);
  const replica = newId("rep");
  const timers = systemTimers(clock);
  const gitUrl = (project: string, name: string) => `${url}/git/${project}/${name}.git`;

  // adapters
  const code = new GitCodeStore(at.repositories);
  const environments = new EnvironmentStore(at.environments, at.tools);
  const supervisor = new Supervisor(at.processes);
  const recipes = new HostRecipes({
    programs: {
      "ghcr.io/fuseml/mlflow-builder": stepProgram("mlflow-builder"),
      "ghcr.io/fuseml/kserve-predictor": stepProgram("kserve-predictor"),
    },
    runtime: stepProgram("mlflow-runtime"),
    environments,
    file: at.recipes,
    env: { FUSEML_ENVIRONMENTS_DIR: at.environments, FUSEML_TOOLS_DIR: at.tools },
    version,
  });
  const registry = await openRegistry(configuration, supervisor, at.registry, log);
  const agents = await openAgents({ configuration, at, registry, recipes, code, clock, log, baseEnv, version });
  const serving = new InferenceServices({
    store,
    servers: new ModelServers({ supervisor, environments, baseEnv }),
    cipher: sealing,
    clock,
    log,
    modelRoot: at.models,
  });

  // services
  const access = new AccessService({ store, clock, key, open: configuration.auth === "open" });
  const projects = new ProjectService({ store, clock, cipher: sealing });
  const extensions = new ExtensionService({ store, clock, cipher: sealing });
  const reuse = new Reuse({
    store,
    agents,
    code,
    witness: new OutputWitness({ store, environments, extensions, registry }),
    clock,
  });
  const engine: Engine = new Engine({
    store,
    agents,
    extensions,
    reuse,
    hub,
    clock,
    timers,
    log,
    replica,
    serverUrl: url,
    issueToken: (runId) => access.issueForRun(runId),
  });
  const launcher = new Launcher({
    clock,
    ids: newId,
    journal: engine.journal,
    replica,
    launched: (runId) => engine.advance(runId),
  });
  const scheduler = new Scheduler({ store, launcher, clock, timers, log });
  const artifacts = new ArtifactService({ store, launcher });
  const codesets = new CodesetService({ store, code, artifacts, projects, clock });
  const runnables = new RunnableService({ store, clock, digestOf: imageDigestOf(agents) });
  const workflows = new WorkflowService({
    store,
    extensions,
    runnables,
    launcher,
    clock,
    ids: newId,
    scheduled: () => scheduler.refresh(),
  });
  const applications = new ApplicationService({
    store,
    clock,
    resources: {
      remove: async (namespace, { kind, name }) =>
        kind === "InferenceService" ? serving.remove(namespace, name) : undefined,
    },
  });
  const images = new RegistryService({ store, registry, own: "fuseml/" });
  const runs = new RunService({ store, engine, launcher, codesets, agents, extensions, reuse, hub, clock });
  const interventions = new Interventions({ store, engine, clock });
  const retention = new Retention({ store, agents, clock, timers, log, keepDays: configuration.keepDays });
  // one data directory with SQLite has one server: nobody else is to be heard of
  const replicas = configuration.databaseUrl
    ? new Replicas({
        store,
        engine,
        hub,
        clock,
        timers,
        log,
        self: { id: replica, url, host: hostname() },
        leaseMs: configuration.leaseMs,
      })
    : undefined;
  const webhooks = new Webhooks({
    store,
    cipher: sealing,
    hub,
    clock,
    timers,
    log,
    publicUrl: url,
    delivers: () => replicas?.leads ?? true,
    fetch,
  });
  const runLogs = new RunLogs({ store, agents, hub });
  const installer = new ExtensionInstaller({
    store,
    extensions,
    environments,
    supervisor,
    cipher: sealing,
    clock,
    log,
    bundles: inRepository("extensions"),
    data: at.extensions,
    baseEnv,
    serverUrl: url,
    issueToken: (name) => access.issue(name),
  });

  // HTTP
  let ready = false;
  const app = httpServer({ logger: log, requestId: () => newId("req") });
  const authenticate = (request: FastifyRequest) => access.authenticate(request.headers.authorization);
  const api = apiRoutes({
    projects,
    codesets,
    workflows,
    runs,
    interventions,
    runLogs,
    retention,
    webhooks,
    access,
    hub,
    cache: store,
    eventStore: store,
    artifacts,
    applications,
    extensions,
    installer,
    runnables,
    registry: images,
    gitUrl,
    publicUrl: url,
    now: () => instant(clock),
    version,
    commit: "",
    ready: () => ready,
    routes: () => routes,
  });
  const routes = {
    ...api,
    ...kserveRoutes({ services: serving, publicUrl: url }),
    ...gatewayRoutes({ services: serving }),
  };
  if (replicas) forwardToOwner(app, runs, replica, (id) => replicas.urlOf(id));
  addRoutes(app, routes, authenticate);
  await gitHttp(app, {
    root: at.repositories,
    exists: async (project, name) => (await store.read.codesets.get(project, name)) !== undefined,
    pushed: (project, name) => codesets.publishPushed(project, name),
    authorize: async (request, project, write) => {
      const basic = basicOf(request.headers.authorization);
      if (basic && (await projects.isUser(project, basic.name, basic.password))) return;
      const caller = await access.authenticate(request.headers.authorization);
      if (caller.kind === "run" && write) throw failure("auth.forbidden", { what: "the token of a run cannot push" });
    },
  });

  if (configuration.auth === "token") await ensureAdminToken(access, at.adminToken);
  return {
    app,
    async resume() {
      await serving.start();
      // steps need what the extensions give: after a crash these are alive and adopted at once
      installer
        .startInstalled()
        .then(async () => {
          if (replicas) await replicas.start();
          else await store.read.runs.takeAll(replica);
          await engine.start();
          scheduler.refresh();
          webhooks.start();
          retention.start();
        })
        .catch((error: unknown) => log.fatal({ err: error }, "the runs could not be taken up"));
      await codesets.recover();
      ready = true;
    },
    async close() {
      ready = false;
      retention.stop();
      await Promise.all([scheduler.stop(), webhooks.stop()]);
      await engine.stop();
      await replicas?.stop();
      await app.close();
      // what serves goes on serving for the others
      if ((replicas?.others ?? 0) === 0) await supervisor.stopAll();
      await serving.idle();
      await store.close();
    },
  };
}

/** The database that the configuration names. */
export function openStore({ databaseUrl, leaseMs }: Configuration, file: string, log: Log): Promise<Store> {
  if (databaseUrl === undefined) return sqliteStore(file);
  const broken = (error: Error) => log.warn({ err: error }, "a connection to the database broke");
  return postgresStore(databaseUrl, broken, leaseMs);
}

/** The digest of an image, as the first agent that knows it tells. */
const imageDigestOf =
  (agents: readonly WorkloadAgent[]) =>
  async (image: string): Promise<string> => {
    for (const agent of agents) {
      const digest = await agent.imageDigest(image);
      if (digest !== undefined) return digest.split("@").at(-1) ?? digest;
    }
    return "";
  };

/** A server that asks for tokens has one of its own from the first start on, in a file that only its owner can read. */
async function ensureAdminToken(access: AccessService, file: string): Promise<void> {
  if (!existsSync(file)) writeAtomically(file, `${await access.issue("admin")}\n`, 0o600);
}
