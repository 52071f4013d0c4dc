import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseAddress } from "@fuseml/core/artifact/address";
import type { EnvironmentStore } from "@fuseml/environments/store";
import type { ExtensionResolver } from "../extensions/service.ts";
import type { ImageRegistry } from "../registry/image-registry.ts";
import { gone, type Witness } from "../runs/reuse.ts";
import { listModel, type S3Access } from "../serving/model-files.ts";
import type { Store } from "../state/store.ts";

const hostImage = /^fuseml\.local\/.+:([0-9a-f]{16})$/;
/** Files up to this size are read; of larger ones size and time of change count. */
const readUpToBytes = 64 * 1024 * 1024;

/** Looks at what outputs point to: environments, artifacts, objects, files. */
export class OutputWitness implements Witness {
  private readonly parts: {
    store: Store;
    environments: EnvironmentStore;
    extensions: ExtensionResolver;
    registry: Pick<ImageRegistry, "address" | "digestOf"> | undefined;
  };

  constructor(parts: OutputWitness["parts"]) {
    this.parts = parts;
  }

  async digestOf(value: string, project: string): Promise<string> {
    const image = hostImage.exec(value);
    if (image?.[1]) return this.parts.environments.find(image[1]) ? image[1] : gone;
    const { registry } = this.parts;
    if (registry && value.startsWith(`${registry.address}/`)) return imageDigest(registry, value);
    if (/^(code|model|dataset|runnable):\/\//.test(value)) return this.artifact(value);
    if (value.startsWith("s3://")) return this.objects(value, project);
    if (value.startsWith("file://")) return fileDigest(fileURLToPath(value));
    return value.startsWith("/") && !value.includes("\n") ? fileDigest(value) : "";
  }

  private async artifact(value: string): Promise<string> {
    const found = await this.parts.store.read.artifacts.get(parseAddress(value));
    return found ? `${found.location} ${found.digest}` : gone;
  }

  /** With the credentials that a step of the project would get. */
  private async objects(value: string, project: string): Promise<string> {
    const requirement = { name: "store", service_resource: "s3" };
    try {
      const { variables } = await this.parts.extensions.forStep(
        { name: "reuse", extensions: [requirement] },
        { project },
      );
      const of = variables.store ?? {};
      const access: S3Access = {
        region: of.AWS_DEFAULT_REGION ?? of.AWS_REGION ?? "us-east-1",
        accessKeyId: of.AWS_ACCESS_KEY_ID ?? "",
        secretAccessKey: of.AWS_SECRET_ACCESS_KEY ?? "",
        ...(of.MLFLOW_S3_ENDPOINT_URL ? { endpoint: of.MLFLOW_S3_ENDPOINT_URL } : {}),
      };
      return (await listModel(value, access)).digest;
    } catch {
      // what cannot be seen is not there: then the step simply runs
      return gone;
    }
  }
}

/** What a name in the built-in registry points to. */
async function imageDigest(registry: Pick<ImageRegistry, "address" | "digestOf">, name: string): Promise<string> {
  const match = /^([^:@\s]+)[:@](\S+)$/.exec(name.slice(registry.address.length + 1));
  if (!match?.[1] || !match[2]) return "";
  return (await registry.digestOf(match[1], match[2])) ?? gone;
}

function fileDigest(path: string): string {
  if (!existsSync(path)) return gone;
  const hash = createHash("sha256");
  const add = (at: string, name: string): void => {
    const stat = statSync(at);
    if (stat.isDirectory()) for (const entry of readdirSync(at).sort()) add(join(at, entry), `${name}/${entry}`);
    else hash.update(`${name} ${stat.size} `).update(stat.size <= readUpToBytes ? readFileSync(at) : `${stat.mtimeMs}`);
  };
  add(path, "");
  return `sha256:${hash.digest("hex")}`;
}
