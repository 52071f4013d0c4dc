import { z } from "zod";
import { route } from "../platform/http/route.ts";
import type { RegistryService } from "../registry/service.ts";
import { flag } from "./shared.ts";

const image = z.object({
  repository: z.string(),
  tag: z.string(),
  digest: z.string().meta({ description: "of the manifest" }),
});
const tag = "registry";

/** The built-in registry of images. */
export const registryRoutes = ({ registry }: { registry: RegistryService }) => ({
  "GET /registry": route({
    tag,
    summary: "List the images of the built-in registry",
    reply: z
      .object({ address: z.string(), images: z.array(image.extend({ used: z.boolean() })) })
      .meta({ id: "Registry" }),
    errors: ["registry.none", "registry.unreachable"],
    handler: async () => {
      const { address, images } = await registry.list();
      return { address, images: [...images] };
    },
  }),
  "POST /registry/collect": route({
    tag,
    summary: "Remove images that no run or runnable refers to, and free their layers",
    query: z.object({ dryRun: flag }),
    reply: z.object({
      removed: z.array(image),
      kept: z.number().int(),
      freedBytes: z.number().int(),
    }),
    errors: ["registry.none", "registry.unreachable"],
    handler: async ({ query }) => {
      const { removed, ...rest } = await registry.collect({ dryRun: query.dryRun });
      return { ...rest, removed: [...removed] };
    },
  }),
});
