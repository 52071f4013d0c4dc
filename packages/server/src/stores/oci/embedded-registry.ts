import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onPath } from "@fuseml/environments/uv";
import { execute } from "../../platform/processes/execute.ts";
import { answers, type Supervisor } from "../../platform/processes/supervisor.ts";
import type { ImageRegistry } from "../../registry/image-registry.ts";
import { RegistryClient } from "./registry-client.ts";

const name = "registry";
/** The distribution project's registry, under the names that Debian and others give it. */
const programs = ["docker-registry", "registry"];

/** The registry program of this machine, if it has one. */
export const registryProgram = (path?: string): string | undefined =>
  programs.map((program) => onPath(program, path)).find((found) => found !== undefined);

/** The registry that comes with FuseML: the distribution project's own, supervised like any other service. */
export class EmbeddedRegistry extends RegistryClient implements ImageRegistry {
  private readonly parts: {
    readonly supervisor: Supervisor;
    readonly program: string;
    readonly directory: string;
    readonly port: number;
  };

  constructor(parts: EmbeddedRegistry["parts"]) {
    super(`127.0.0.1:${parts.port}`);
    this.parts = parts;
  }

  private get configuration(): string {
    return join(this.parts.directory, "config.yml");
  }

  /** Whether another program answers at the address. */
  async isTaken(): Promise<boolean> {
    return !this.parts.supervisor.isLeftRunning(name) && (await answers(`http://${this.address}/v2/`, 500));
  }

  /** Starts it, or takes up the one that a former server left running. */
  async start(): Promise<void> {
    const { supervisor, program, directory } = this.parts;
    mkdirSync(join(directory, "contents"), { recursive: true });
    writeFileSync(
      this.configuration,
      JSON.stringify({
        version: "0.1",
        log: { level: "warn", accesslog: { disabled: true } },
        storage: {
          filesystem: { rootdirectory: join(directory, "contents") },
          delete: { enabled: true },
          maintenance: { uploadpurging: { enabled: true, age: "24h", interval: "24h", dryrun: false } },
        },
        http: { addr: this.address },
      }),
    );
    await supervisor.ensure({
      name,
      command: program,
      args: ["serve", this.configuration],
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin", OTEL_TRACES_EXPORTER: "none" },
      healthUrl: `http://${this.address}/v2/`,
      readyWithinMs: 20_000,
    });
  }

  /** The program collects only while nobody writes: it is down for the moment that this takes. */
  async collect(): Promise<number> {
    const { supervisor, program, directory } = this.parts;
    const before = sizeOf(join(directory, "contents"));
    await supervisor.stop(name);
    try {
      await execute(program, ["garbage-collect", "--delete-untagged=true", this.configuration]);
    } finally {
      await this.start();
    }
    return Math.max(0, before - sizeOf(join(directory, "contents")));
  }
}

function sizeOf(directory: string): number {
  if (!existsSync(directory)) return 0;
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
