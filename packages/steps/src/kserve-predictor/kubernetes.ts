import { readFileSync } from "node:fs";
import { StepError } from "../step/context.ts";

type Json = Readonly<Record<string, unknown>>;

/** An InferenceService as far as the step reads it. */
export type InferenceService = {
  readonly metadata?: { readonly generation?: number };
  readonly status?: {
    readonly url?: string;
    readonly observedGeneration?: number;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    readonly modelStatus?: {
      readonly transitionStatus?: string;
      readonly lastFailureInfo?: { readonly message?: string };
    };
  };
};

/**
 * The Kubernetes API that the extension's record points at (`KUBERNETES_API_URL`, `KUBERNETES_TOKEN`), or the cluster that the
 * step runs in. Only server-side apply and get are used.
 */
export class Kubernetes {
  private readonly url: string;
  private readonly token: string | undefined;
  readonly namespace: string;

  constructor(env: NodeJS.ProcessEnv) {
    const account = "/var/run/secrets/kubernetes.io/serviceaccount";
    const inCluster = env.KUBERNETES_SERVICE_HOST && env.KUBERNETES_SERVICE_PORT;
    const url =
      env.KUBERNETES_API_URL ??
      (inCluster ? `https://${env.KUBERNETES_SERVICE_HOST}:${env.KUBERNETES_SERVICE_PORT}` : undefined);
    if (!url)
      throw new StepError(
        "no serving platform is known: KUBERNETES_API_URL is not set",
        "let the step ask for an extension: {name: kserve, service_resource: kserve-api}",
      );
    this.url = url.replace(/\/+$/, "");
    this.token =
      env.KUBERNETES_TOKEN ?? (env.KUBERNETES_API_URL ? undefined : readFileSync(`${account}/token`, "utf8"));
    this.namespace = env.KUBERNETES_NAMESPACE ?? env.FUSEML_ENV_WORKFLOW_NAMESPACE ?? "fuseml-workloads";
  }

  /** Creates the object or makes it what is given. */
  apply(path: string, object: Json): Promise<Json> {
    return this.send("PATCH", `${path}?fieldManager=fuseml&force=true`, object);
  }

  get(path: string): Promise<Json> {
    return this.send("GET", path);
  }

  /** The formats that the platform's runtimes serve; empty when it does not tell. */
  async servedFormats(): Promise<string[]> {
    try {
      const { items = [] } = (await this.get("/apis/serving.kserve.io/v1alpha1/clusterservingruntimes")) as {
        items?: { spec?: { supportedModelFormats?: { name: string }[] } }[];
      };
      return items.flatMap((item) => (item.spec?.supportedModelFormats ?? []).map((format) => format.name));
    } catch (error) {
      // a service account need not be allowed to list them: then the platform itself will say
      if (error instanceof StepError && /answered (403|404)/.test(error.message)) return [];
      throw error;
    }
  }

  private async send(method: string, path: string, body?: Json): Promise<Json> {
    let response: Response;
    try {
      response = await fetch(this.url + path, {
        method,
        headers: {
          ...(this.token ? { authorization: `Bearer ${this.token}` } : {}),
          ...(body ? { "content-type": "application/apply-patch+yaml" } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
    } catch (error) {
      throw new StepError(
        `the serving platform at ${this.url} does not answer: ${(error as Error).message}`,
        "check the endpoint of the kserve extension",
      );
    }
    const text = await response.text();
    if (response.ok) return JSON.parse(text) as Json;
    let message = text.slice(0, 500);
    try {
      message = String((JSON.parse(text) as { message?: unknown }).message ?? message);
    } catch {
      // not JSON: shown as it is
    }
    throw new StepError(
      `the serving platform at ${this.url} answered ${response.status} to ${method} ${path.split("?")[0]}: ${message}`,
    );
  }
}
