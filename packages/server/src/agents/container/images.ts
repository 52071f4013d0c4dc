import type { FuseError } from "@fuseml/core/errors";
import { failure } from "@fuseml/core/errors";
import { fullName, isLoopback, registryOf, repositoryOf } from "@fuseml/core/runnable/image-name";
import type Docker from "dockerode";
import type { ImageRegistry } from "../../registry/image-registry.ts";
import type { ConnectedEngine } from "./engine-address.ts";
import { imageFailure, statusOf } from "./engine-errors.ts";
import type { ImageNames } from "./image-names.ts";
import { loginFor, type RegistryLogin } from "./registry-login.ts";

/** An image that is there and can be started. */
export type ReadyImage = {
  /** The engine's own number: what is started is what is recorded, whatever happens to the tag meanwhile. */
  readonly id: string;
  /** `repository@sha256:…`. */
  readonly reference: string;
  readonly architecture: string;
  readonly user: string;
};

export type PullPolicy = "missing" | "always";

type PullWord = {
  readonly id?: string;
  readonly status?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
};

/** The images of an engine: found, or pulled. */
export class Images {
  private readonly parts: {
    readonly engine: ConnectedEngine;
    readonly names: ImageNames;
    readonly policy: PullPolicy;
    readonly loginFiles: readonly string[];
    readonly registry?: Pick<ImageRegistry, "address" | "digestOf"> | undefined;
  };
  /** Two steps that need the same image pull it once. */
  private readonly pulls = new Map<string, Promise<void>>();

  constructor(parts: Images["parts"]) {
    this.parts = parts;
  }

  /** The image that is meant by a name here. */
  nameOf(name: string): string {
    return this.parts.names.resolve(name);
  }

  /** The image that is meant by a name, on the engine. @throws `image.*`, `container.engine-gone` */
  async ensure(name: string, say: (line: string) => void): Promise<ReadyImage> {
    const image = this.parts.names.resolve(name);
    if (image !== name) say(`image ${name} is ${image} here`);
    const there = await this.inspect(image);
    if (there && !(await this.mayBeOld(image, there))) return there;
    try {
      await this.pull(image, say);
    } catch (error) {
      // an engine that cannot look for news goes on with what it has
      if (!there) throw error;
      say(`WARNING: ${(error as FuseError).message}; the image that is here is used`);
    }
    const pulled = await this.inspect(image);
    if (!pulled) throw failure("image.not-found", { image, reason: "it was pulled and is not there" });
    return pulled;
  }

  /** What is behind a name: on the engine, else in the registry; nothing when it is nowhere. */
  async digest(name: string): Promise<string | undefined> {
    const image = this.parts.names.resolve(name);
    try {
      const published = await this.published(image);
      if (published) return published;
      const there = await this.inspect(image);
      if (there) return there.reference;
      const found = (await this.parts.engine.docker.getImage(fullName(image)).distribution()) as {
        Descriptor?: { digest?: string };
      };
      return found.Descriptor?.digest && `${repositoryOf(fullName(image))}@${found.Descriptor.digest}`;
    } catch {
      // whatever the reason, nothing is known of it now: the step itself will tell
      return undefined;
    }
  }

  /** The built-in registry is asked, which costs little; others only when the policy says so. */
  private async mayBeOld(image: string, there: ReadyImage): Promise<boolean> {
    if (image.includes("@")) return false;
    const published = await this.published(image);
    if (published !== undefined) return published !== there.reference;
    return this.parts.policy === "always" && fullName(image).endsWith(":latest");
  }

  /** What the built-in registry has behind a name of its own. */
  private async published(image: string): Promise<string | undefined> {
    const { registry } = this.parts;
    const name = fullName(image);
    if (!registry || registryOf(name) !== registry.address) return undefined;
    const repository = repositoryOf(name);
    const reference = name.slice(repository.length + 1);
    const digest = await registry.digestOf(repository.slice(registry.address.length + 1), reference);
    return digest && `${repository}@${digest}`;
  }

  private async inspect(image: string): Promise<ReadyImage | undefined> {
    let found: Docker.ImageInspectInfo;
    try {
      found = await this.parts.engine.docker.getImage(image).inspect();
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw imageFailure(image, error);
    }
    const repository = repositoryOf(fullName(image));
    const digests = found.RepoDigests ?? [];
    const reference =
      digests.find((digest) => fullName(digest).startsWith(`${repository}@`)) ?? `${repository}@${idOf(found.Id)}`;
    return { id: found.Id, reference, architecture: found.Architecture, user: found.Config?.User ?? "" };
  }

  private pull(image: string, say: (line: string) => void): Promise<void> {
    const name = fullName(image);
    const under = this.pulls.get(name);
    if (under) {
      say(`image ${name} is being pulled for another step`);
      return under;
    }
    const work = this.pullNow(name, say).finally(() => this.pulls.delete(name));
    this.pulls.set(name, work);
    return work;
  }

  private async pullNow(image: string, say: (line: string) => void): Promise<void> {
    const { docker } = this.parts.engine;
    say(`pulling image ${image}`);
    const progress = new PullProgress(say);
    const login = loginFor(image, this.parts.loginFiles);
    try {
      const stream = await this.openPull(image, login);
      await new Promise<void>((resolve, reject) =>
        docker.modem.followProgress(
          stream,
          (error, words: PullWord[]) => {
            const failed = error ?? words.find((word) => word.error !== undefined);
            if (!failed) resolve();
            else reject(failed instanceof Error ? failed : new Error(failed.errorDetail?.message ?? failed.error));
          },
          (word: PullWord) => progress.take(word),
        ),
      );
    } catch (error) {
      throw imageFailure(image, error);
    }
    say(`image ${image} pulled`);
  }

  private openPull(image: string, login: RegistryLogin | undefined): Promise<NodeJS.ReadableStream> {
    const { docker, kind } = this.parts.engine;
    const isPlain = isLoopback(registryOf(image));
    if (kind === "docker" || !isPlain) return docker.createImage(login ?? {}, { fromImage: image });
    // podman asks a registry of this machine for TLS, too, unless its own API tells it not to
    return new Promise((resolve, reject) =>
      docker.modem.dial(
        {
          path: "/v4.0.0/libpod/images/pull?",
          method: "POST",
          isStream: true,
          authconfig: login,
          options: { reference: image, tlsVerify: "false" },
          statusCodes: { 200: true, 500: "server error" },
        },
        (error: unknown, stream: unknown) => (error ? reject(error) : resolve(stream as NodeJS.ReadableStream)),
      ),
    );
  }
}

const idOf = (id: string): string => (id.startsWith("sha256:") ? id : `sha256:${id}`);

/** Tells now and then how much of the layers is there, not each word of the engine. */
class PullProgress {
  private readonly say: (line: string) => void;
  private readonly layers = new Map<string, { current: number; total: number }>();
  private told = 0;

  constructor(say: (line: string) => void) {
    this.say = say;
  }

  take({ id, progressDetail, status }: PullWord): void {
    const { current, total } = progressDetail ?? {};
    if (id === undefined || current === undefined || total === undefined || status !== "Downloading") return;
    this.layers.set(id, { current, total });
    const sum = [...this.layers.values()].reduce((all, one) => ({
      current: all.current + one.current,
      total: all.total + one.total,
    }));
    const percent = Math.floor((100 * sum.current) / Math.max(1, sum.total));
    if (percent < this.told + 10) return;
    this.told = percent;
    this.say(`  ${percent} % of ${(sum.total / 1e6).toFixed(0)} MB`);
  }
}
