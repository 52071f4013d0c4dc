import { homedir } from "node:os";
import { join } from "node:path";
import { pushImage, type Target } from "./push.ts";
import { type Making, stepImages } from "./step-images.ts";

export type PublishedImage = { readonly name: string; readonly digest: string };

/** Makes FuseML's images and pushes them as `REGISTRY/PREFIX/NAME:VERSION`. @throws `registry.unreachable`, `tool.missing` */
export async function publishImages(
  of: Making & { readonly prefix: string; readonly target: Target },
): Promise<readonly PublishedImage[]> {
  const pushed: PublishedImage[] = [];
  for (const { name, image } of await stepImages(of)) {
    const repository = `${of.prefix}/${name}`;
    of.say(`pushing ${of.target.registry}/${repository}:${of.version}`);
    await pushImage(image, { repository, tag: of.version }, of.target);
    pushed.push({ name: `${of.target.registry}/${repository}:${of.version}`, digest: image.manifest.digest });
  }
  return pushed;
}

/** Where layers are kept between builds. */
export const imageCache = (env: NodeJS.ProcessEnv): string =>
  join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), ".cache"), "fuseml", "images");
