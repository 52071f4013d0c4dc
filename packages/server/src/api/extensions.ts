import { z } from "zod";
import type { ExtensionInstaller } from "../extensions/installer.ts";
import type { StoredExtension } from "../extensions/repository.ts";
import type { ExtensionService } from "../extensions/service.ts";
import { route, type ServerEvent } from "../platform/http/route.ts";
import { extension, extensionGiven, filter, notFound, showExtension, tag } from "./extension-schemas.ts";

export const extensionRoutes = ({
  extensions,
  installer,
}: {
  extensions: ExtensionService;
  installer: ExtensionInstaller;
}) => {
  const show = (of: StoredExtension) => showExtension(of, (credentials) => extensions.secretNames(credentials));
  return {
    "GET /extensions": route({
      tag,
      summary: "List extensions; the filter is in the query or, as upstream's client sends it, in a body",
      query: filter,
      body: filter.optional(),
      reply: z.array(extension),
      handler: async ({ query, body }) => {
        const of = { ...body, ...query };
        const found = await extensions.list({
          id: of.extension_id,
          product: of.product,
          version: of.version,
          zone: of.zone,
          serviceId: of.service_id,
          serviceResource: of.service_resource,
          serviceCategory: of.service_category,
        });
        return found.map(show);
      },
    }),
    "POST /extensions": route({
      tag,
      summary: "Register an extension with its services, endpoints and credentials",
      body: extensionGiven,
      reply: extension,
      status: 201,
      errors: ["extension.exists", "extension.part-exists"],
      handler: async ({ body }) => show(await extensions.register(body)),
    }),
    "GET /extensions/{id}": route({
      tag,
      summary: "Get an extension",
      params: z.object({ id: z.string() }),
      reply: extension,
      errors: notFound,
      handler: async ({ params }) => show(await extensions.get(params.id)),
    }),
    "PUT /extensions/{id}": route({
      tag,
      summary: "Change an extension",
      params: z.object({ id: z.string() }),
      body: extensionGiven,
      reply: extension,
      errors: notFound,
      handler: async ({ params, body }) => show(await extensions.update(params.id, body)),
    }),
    "DELETE /extensions/{id}": route({
      tag,
      summary: "Delete an extension",
      params: z.object({ id: z.string() }),
      reply: null,
      errors: notFound,
      handler: ({ params }) => extensions.remove(params.id),
    }),
    "GET /bundles": route({
      tag,
      summary: "What can be installed, and what is",
      reply: z.array(z.object({ name: z.string(), installed: z.boolean() })),
      handler: async () => {
        const installed = await installer.installed();
        return installer.available().map((name) => ({ name, installed: installed.includes(name) }));
      },
    }),
    "POST /bundles/{name}/install": route({
      tag,
      stream: true,
      summary: "Install a bundle; progress as it happens, then `installed` or `failed`",
      params: z.object({ name: z.string() }),
      reply: z.object({ message: z.string() }),
      errors: ["extension.no-bundle", "extension.install-failed"],
      handler: ({ params }) => progress((say) => installer.install(params.name, say)),
    }),
    "DELETE /bundles/{name}": route({
      tag,
      summary: "Uninstall a bundle: its processes and its record go, its data stays",
      params: z.object({ name: z.string() }),
      reply: null,
      errors: ["extension.no-bundle"],
      handler: ({ params }) => installer.uninstall(params.name),
    }),
  };
};

/** Work that tells how it goes, as events; its last word is an event, too. */
async function* progress(work: (say: (message: string) => void) => Promise<string>): AsyncIterable<ServerEvent> {
  const said: ServerEvent[] = [{ event: "progress", data: { message: "starting" } }];
  let wake: () => void = () => undefined;
  let over = false;
  const tell = (event: ServerEvent) => {
    said.push(event);
    wake();
  };
  const done = work((message) => tell({ event: "progress", data: { message } }))
    .then((result) => tell({ event: "installed", data: { message: result } }))
    .catch((error: Error & { code?: string; hint?: string }) =>
      tell({
        event: "failed",
        data: { message: error.message, code: error.code ?? "internal", ...(error.hint ? { hint: error.hint } : {}) },
      }),
    )
    .finally(() => {
      over = true;
      wake();
    });
  for (;;) {
    const next = said.shift();
    if (next) yield next;
    else if (over) break;
    else
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
  await done;
}
