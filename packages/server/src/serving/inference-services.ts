import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { failure } from "@fuseml/core/errors";
import { type Clock, instant } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Cipher } from "../platform/secrets/cipher.ts";
import type { Store } from "../state/store.ts";
import { fetchModel, modelDirectory, type S3Access } from "./model-files.ts";
import { describeModel, type ModelServer, type ModelServers } from "./model-server.ts";
import type { KubernetesObjectKind, ServedRevision, StoredInferenceService } from "./repository.ts";

/** A Kubernetes object, as far as it is looked at here. */
export type KubernetesObject = {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  readonly [field: string]: unknown;
};

/** Formats that the embedded platform serves. All of them need the MLmodel file beside the model. */
export const servedFormats = [
  "mlflow",
  "sklearn",
  "xgboost",
  "lightgbm",
  "tensorflow",
  "keras",
  "onnx",
  "pytorch",
  "catboost",
  "statsmodels",
] as const;
/** Says where the model in MLflow's format is, when `storageUri` is a copy in another layout. */
export const sourceAnnotation = "fuseml.io/model-source";

/** The model that takes the requests of a service now. */
export type Route = { readonly server: ModelServer; readonly revision: string; inFlight: number };

const drainWithinMs = 30_000;
const retryAfterMs = 2000;
const keptRevisions = 10;

/**
 * The embedded serving platform behind KServe's `InferenceService`. A changed spec is a new revision: it is loaded beside
 * the old one and takes over when it answers, so that no request fails.
 */
export class InferenceServices {
  private readonly parts: {
    store: Store;
    servers: ModelServers;
    cipher: Cipher;
    clock: Clock;
    log: Log;
    modelRoot: string;
  };
  private readonly routes = new Map<string, Route>();
  private readonly turns = new Map<string, Promise<void>>();

  constructor(parts: InferenceServices["parts"]) {
    this.parts = parts;
  }

  /** Takes up what was serving, and what was being loaded, when the server ended. */
  async start(): Promise<void> {
    for (const service of await this.parts.store.read.inferenceServices.list())
      this.converge(service.namespace, service.name);
  }

  async idle(): Promise<void> {
    await Promise.allSettled(this.turns.values());
  }

  route(namespace: string, name: string): Route | undefined {
    return this.routes.get(`${namespace}/${name}`);
  }

  list(namespace: string): Promise<StoredInferenceService[]> {
    return this.parts.store.read.inferenceServices.list(namespace);
  }

  /** @throws `serving.not-found` */
  async get(namespace: string, name: string): Promise<StoredInferenceService> {
    const service = await this.parts.store.read.inferenceServices.get(namespace, name);
    if (!service) throw failure("serving.not-found", { name });
    return service;
  }

  /** Makes the service what `object` says. The same spec again changes nothing, unless its last revision failed. */
  async apply(namespace: string, name: string, object: KubernetesObject): Promise<StoredInferenceService> {
    const spec = object.spec as Record<string, unknown> | undefined;
    const model = predictorModel(spec);
    if (!spec || !model)
      throw failure(
        "request.invalid",
        { message: "spec.predictor.model with modelFormat and storageUri is needed" },
        { field: "spec.predictor.model" },
      );
    const annotations = object.metadata?.annotations ?? {};
    const saved = await this.parts.store.transaction(async (unit) => {
      const present = await unit.inferenceServices.get(namespace, name);
      const unchanged =
        present !== undefined &&
        JSON.stringify(present.spec) === JSON.stringify(spec) &&
        present.metadata.annotations[sourceAnnotation] === annotations[sourceAnnotation] &&
        present.revisions.at(-1)?.state !== "failed";
      const generation = unchanged ? present.generation : (present?.generation ?? 0) + 1;
      const revision: ServedRevision = {
        name: `${name}-predictor-${String(generation).padStart(5, "0")}`,
        generation,
        storageUri: annotations[sourceAnnotation] ?? model.storageUri,
        state: "loading",
        message: "",
      };
      const service: StoredInferenceService = {
        namespace,
        name,
        generation,
        spec,
        metadata: { uid: present?.metadata.uid ?? randomUUID(), labels: object.metadata?.labels ?? {}, annotations },
        revisions: unchanged ? present.revisions : [...(present?.revisions ?? []), revision].slice(-keptRevisions),
        created: present?.created ?? instant(this.parts.clock),
      };
      await unit.inferenceServices.save(service);
      return service;
    });
    this.converge(namespace, name);
    return saved;
  }

  /** Stops serving. Removing what is not there is no error. */
  async remove(namespace: string, name: string): Promise<void> {
    const service = await this.parts.store.read.inferenceServices.get(namespace, name);
    await this.parts.store.transaction((unit) => unit.inferenceServices.remove(namespace, name));
    this.routes.delete(`${namespace}/${name}`);
    for (const revision of service?.revisions ?? []) await this.parts.servers.stop(processName(namespace, revision));
  }

  async putObject(
    kind: KubernetesObjectKind,
    namespace: string,
    name: string,
    object: KubernetesObject,
  ): Promise<void> {
    const body = this.parts.cipher.seal(JSON.stringify(object));
    await this.parts.store.transaction((unit) => unit.kubernetesObjects.save(kind, namespace, name, body));
  }

  async getObject(kind: KubernetesObjectKind, namespace: string, name: string): Promise<KubernetesObject | undefined> {
    const sealed = await this.parts.store.read.kubernetesObjects.get(kind, namespace, name);
    return sealed === undefined ? undefined : (JSON.parse(this.parts.cipher.open(sealed)) as KubernetesObject);
  }

  /** Works, in turn for each service, until what runs is what is wanted. */
  private converge(namespace: string, name: string): void {
    const key = `${namespace}/${name}`;
    const turn = (this.turns.get(key) ?? Promise.resolve())
      .then(() => this.convergeNow(namespace, name))
      .catch((error: unknown) => {
        this.parts.log.error(
          { err: error, service: key },
          "an inference service could not be brought to its wanted state",
        );
      });
    this.turns.set(key, turn);
  }

  private async convergeNow(namespace: string, name: string): Promise<void> {
    const service = await this.parts.store.read.inferenceServices.get(namespace, name);
    if (!service) return;
    const wanted = service.revisions.at(-1);
    const serving = service.revisions.findLast((revision) => revision.state === "ready");
    // what was serving serves on while the next one loads
    if (serving && serving !== wanted && !this.route(namespace, name)) await this.load(service, serving);
    if (wanted && wanted.state !== "failed") await this.load(service, wanted);
  }

  private async load(service: StoredInferenceService, revision: ServedRevision): Promise<void> {
    const { servers, log } = this.parts;
    const key = `${service.namespace}/${service.name}`;
    if (this.routes.get(key)?.revision === revision.name) return;
    let server: ModelServer;
    let digest: string;
    try {
      const model = await this.contents(service, revision);
      digest = model.digest;
      describeModel(model.directory);
      server = await servers.start(processName(service.namespace, revision), model.directory, revision.port);
    } catch (error) {
      log.warn({ err: error, service: key, revision: revision.name }, "a revision could not be loaded");
      await servers.stop(processName(service.namespace, revision));
      // what has served before will serve again: its store may only be late
      if (revision.state === "ready") return this.convergeLater(service);
      const words = error as Error & { output?: string };
      await this.mark(service, revision.name, {
        state: "failed",
        message: [words.message, words.output].filter(Boolean).join("\n"),
      });
      return;
    }
    const before = this.routes.get(key);
    if (!(await this.mark(service, revision.name, { state: "ready", message: "", port: server.port, digest }))) {
      await servers.stop(server.process);
      return;
    }
    this.routes.set(key, { server, revision: revision.name, inFlight: 0 });
    if (before) await this.retire(before);
  }

  private convergeLater({ namespace, name }: StoredInferenceService): void {
    setTimeout(() => this.converge(namespace, name), retryAfterMs).unref();
  }

  /** The model's files: the copy that is here, or a new one from its store. */
  private async contents(
    service: StoredInferenceService,
    revision: ServedRevision,
  ): Promise<{ directory: string; digest: string }> {
    const { modelRoot } = this.parts;
    const here = revision.digest === undefined ? undefined : modelDirectory(modelRoot, revision.digest);
    if (here && existsSync(here)) return { directory: here, digest: revision.digest ?? "" };
    return fetchModel(revision.storageUri, await this.storageAccess(service), modelRoot);
  }

  private async retire(route: Route): Promise<void> {
    const deadline = performance.now() + drainWithinMs;
    while (route.inFlight > 0 && performance.now() < deadline) await pause(20);
    await this.parts.servers.stop(route.server.process);
  }

  /** @returns false when the service was removed meanwhile */
  private mark(service: StoredInferenceService, revision: string, change: Partial<ServedRevision>): Promise<boolean> {
    return this.parts.store.transaction(async (unit) => {
      const present = await unit.inferenceServices.get(service.namespace, service.name);
      if (!present) return false;
      const revisions = present.revisions.map((candidate) =>
        candidate.name === revision ? { ...candidate, ...change } : candidate,
      );
      await unit.inferenceServices.save({ ...present, revisions });
      return true;
    });
  }

  /** The credentials of KServe's convention: secrets of the service account, the endpoint in their annotations. */
  private async storageAccess(service: StoredInferenceService): Promise<S3Access | undefined> {
    const predictor = (service.spec.predictor ?? {}) as { serviceAccountName?: string };
    if (!predictor.serviceAccountName) return undefined;
    const account = await this.getObject("ServiceAccount", service.namespace, predictor.serviceAccountName);
    for (const { name } of (account?.secrets ?? []) as { name: string }[]) {
      const secret = await this.getObject("Secret", service.namespace, name);
      const data = (secret?.stringData ?? {}) as Record<string, string>;
      const note = secret?.metadata?.annotations ?? {};
      if (!data.AWS_ACCESS_KEY_ID || !data.AWS_SECRET_ACCESS_KEY) continue;
      const host = note["serving.kserve.io/s3-endpoint"];
      const scheme = note["serving.kserve.io/s3-usehttps"] === "0" ? "http" : "https";
      return {
        accessKeyId: data.AWS_ACCESS_KEY_ID,
        secretAccessKey: data.AWS_SECRET_ACCESS_KEY,
        region: note["serving.kserve.io/s3-region"] ?? "us-east-1",
        ...(host ? { endpoint: `${scheme}://${host}` } : {}),
      };
    }
    return undefined;
  }
}

const processName = (namespace: string, revision: ServedRevision): string => `model-${namespace}-${revision.name}`;

/** The new schema (`predictor.model`) or the old one (`predictor.sklearn`). */
export function predictorModel(
  spec: Readonly<Record<string, unknown>> | undefined,
): { format: string; storageUri: string } | undefined {
  const predictor = spec?.predictor as
    | Record<string, { storageUri?: string; modelFormat?: { name?: string } } | undefined>
    | undefined;
  if (!predictor) return undefined;
  for (const [key, value] of Object.entries(predictor)) {
    if (typeof value !== "object" || typeof value.storageUri !== "string") continue;
    return { format: key === "model" ? (value.modelFormat?.name ?? "") : key, storageUri: value.storageUri };
  }
  return undefined;
}
