import { failure } from "@fuseml/core/errors";
import type { Configuration } from "./configuration.ts";
import type { Log } from "./platform/log.ts";
import type { Supervisor } from "./platform/processes/supervisor.ts";
import type { ImageRegistry } from "./registry/image-registry.ts";
import { EmbeddedRegistry, registryProgram } from "./stores/oci/embedded-registry.ts";

/**
 * The built-in registry, started: at the address that builders push to unless they are told otherwise.
 * Nothing when no step runs in containers, when another registry was named, or when this machine has no registry program.
 */
export async function openRegistry(
  { agents, containers: { registry, registryPort: port } }: Configuration,
  supervisor: Supervisor,
  directory: string,
  log: Log,
): Promise<ImageRegistry | undefined> {
  if (registry !== "embedded" || !agents?.includes("container")) return undefined;
  const program = registryProgram();
  if (!program) {
    log.warn("no registry program (apt-get install docker-registry): images can be used, and not built");
    return undefined;
  }
  const embedded = new EmbeddedRegistry({ supervisor, program, directory, port });
  if (await embedded.isTaken()) throw failure("registry.port-in-use", { port });
  await embedded.start();
  return embedded;
}
