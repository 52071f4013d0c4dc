import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ModelDescription, parseModelDescription } from "@fuseml/core/serving/model-signature";
import { activate, type EnvironmentRequest, type EnvironmentStore } from "@fuseml/environments/store";
import { parse } from "yaml";
import { freePort } from "../platform/processes/ports.ts";
import type { Supervisor } from "../platform/processes/supervisor.ts";

/** Where a running model server answers, and what it serves. */
export type ModelServer = {
  readonly process: string;
  readonly url: string;
  readonly port: number;
  readonly description: ModelDescription;
};

/** From downloading what the model needs to its first answer. */
const readyWithinMs = 180_000;

/**
 * Serves MLflow models, each by MLflow's own scoring server in the environment that the model asks for.
 * Not by MLServer, which nobody maintains any more.
 */
export class ModelServers {
  private readonly parts: {
    supervisor: Supervisor;
    environments: EnvironmentStore;
    baseEnv: Readonly<Record<string, string>>;
  };

  constructor(parts: ModelServers["parts"]) {
    this.parts = parts;
  }

  /** Starts (or adopts) the server of a model; returns when it answers. `port` is taken when it is free. */
  async start(process: string, directory: string, port?: number): Promise<ModelServer> {
    const description = describeModel(directory);
    if (!description.flavors.includes("python_function")) {
      throw new Error(
        `MLflow cannot serve this model: it has no python_function flavor (it has ${description.flavors.join(", ")})`,
      );
    }
    const { supervisor, environments, baseEnv } = this.parts;
    const { environment } = await environments.ensure(environmentOf(directory, description), {
      strict: false,
      say: () => undefined,
    });
    const adopted = port !== undefined && supervisor.isLeftRunning(process);
    const chosen = adopted ? port : await freePort(port);
    const url = `http://127.0.0.1:${chosen}`;
    await supervisor.ensure({
      name: process,
      command: join(environment.directory, "bin", "mlflow"),
      args: [
        "models",
        "serve",
        "--model-uri",
        directory,
        "--env-manager",
        "local",
        "--host",
        "127.0.0.1",
        "--port",
        String(chosen),
        "--workers",
        "1",
      ],
      env: { ...(activate(environment, baseEnv) as Record<string, string>), MLFLOW_DISABLE_TELEMETRY: "true" },
      healthUrl: `${url}/ping`,
      readyWithinMs,
    });
    return { process, url, port: chosen, description };
  }

  stop(process: string): Promise<void> {
    return this.parts.supervisor.stop(process);
  }
}

/** Reads the `MLmodel` file. @throws when there is none */
export function describeModel(directory: string): ModelDescription {
  const file = join(directory, "MLmodel");
  if (!existsSync(file)) throw new Error("there is no MLmodel file: only models in MLflow's format can be served here");
  return parseModelDescription(readFileSync(file, "utf8"));
}

/**
 * What the scoring server of an MLflow needs beyond what MLflow itself asks for: versions 1 and 2 use a part of Starlette
 * that its version 1 has removed, and do not say so.
 */
const scoringServerLimits = (mlflowVersion: string | undefined): string[] =>
  /^[12]\./.test(mlflowVersion ?? "") ? ["starlette<1"] : [];

/** The environment that the model says it needs, with the server in it. */
export function environmentOf(directory: string, description: ModelDescription): EnvironmentRequest {
  const read = (name: string): string | undefined =>
    existsSync(join(directory, name)) ? readFileSync(join(directory, name), "utf8") : undefined;
  const listed =
    read("requirements.txt")
      ?.split(/\r?\n/)
      .filter((line) => line.trim() && !line.trim().startsWith("#")) ?? [];
  const python = read("python_env.yaml");
  const declared = python === undefined ? undefined : (parse(python) as { python?: unknown } | null)?.python;
  const version = typeof declared === "string" ? declared : description.pythonVersion;
  // the scoring server is part of the full package, not of mlflow-skinny
  const hasMlflow = listed.some((line) => /^mlflow([\s=<>~![;@]|$)/i.test(line.trim()));
  const mlflow = `mlflow${description.mlflowVersion ? `==${description.mlflowVersion}` : ""}`;
  return {
    ...(version ? { python: version } : {}),
    requirements: [...listed, ...(hasMlflow ? [] : [mlflow]), ...scoringServerLimits(description.mlflowVersion)],
  };
}
