import { credentialScopes, type ExtensionEndpoint } from "@fuseml/core/extension/record";
import { z } from "zod";
import type { ExtensionInstaller } from "../extensions/installer.ts";
import type { SealedCredentials, StoredExtension, StoredService } from "../extensions/repository.ts";
import type { ExtensionService } from "../extensions/service.ts";
import { route, type ServerEvent } from "../platform/http/route.ts";
import { configuration } from "./shared.ts";

const id = z
  .string()
  .max(100)
  .regex(/^([A-Za-z0-9_][A-Za-z0-9_-]*)?$/, "letters, digits, - and _ only");
const values = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String));
const ignored = z.unknown().optional();

const credentialsGiven = z.object({
  id: id.optional(),
  default: z.boolean().optional(),
  scope: z.enum(credentialScopes).optional(),
  projects: z
    .array(z.string())
    .nullish()
    .transform((list) => list ?? undefined),
  users: z
    .array(z.string())
    .nullish()
    .transform((list) => list ?? undefined),
  configuration: values.optional(),
  status: ignored,
});
const endpointGiven = z.object({
  url: z.string().min(1).max(200),
  type: z.enum(["internal", "external"]).optional(),
  configuration: values.optional(),
  status: ignored,
});
const serviceGiven = z.object({
  id: id.optional(),
  resource: z.string().max(100).optional(),
  category: z.string().max(100).optional(),
  description: z.string().max(1000).optional(),
  auth_required: z.boolean().optional(),
  configuration: values.optional(),
  endpoints: z.array(endpointGiven).optional(),
  credentials: z.array(credentialsGiven).optional(),
  status: ignored,
});
const extensionGiven = z.object({
  id: id.optional(),
  product: z.string().max(100).optional(),
  version: z.string().max(100).optional(),
  description: z.string().max(1000).optional(),
  zone: z.string().max(100).optional(),
  configuration: values.optional(),
  services: z.array(serviceGiven).optional(),
  status: ignored,
});

const credentials = z
  .object({
    id: z.string(),
    extension_id: z.string(),
    service_id: z.string(),
    default: z.boolean(),
    scope: z.enum(credentialScopes),
    projects: z.array(z.string()),
    users: z.array(z.string()),
    configuration: configuration.meta({ description: "names only: the values are never shown" }),
    status: z.object({ created: z.string(), updated: z.string() }),
  })
  .meta({ id: "ExtensionCredentials" });
const endpoint = z
  .object({
    url: z.string(),
    extension_id: z.string(),
    service_id: z.string(),
    type: z.enum(["internal", "external"]),
    configuration,
    status: z.object({}),
  })
  .meta({ id: "ExtensionEndpoint" });
const status = z.object({ registered: z.string(), updated: z.string() });
const service = z
  .object({
    id: z.string(),
    extension_id: z.string(),
    resource: z.string(),
    category: z.string(),
    description: z.string(),
    auth_required: z.boolean(),
    configuration,
    endpoints: z.array(endpoint),
    credentials: z.array(credentials),
    status,
  })
  .meta({ id: "ExtensionService" });
const extension = z
  .object({
    id: z.string(),
    product: z.string(),
    version: z.string(),
    description: z.string(),
    zone: z.string(),
    configuration,
    services: z.array(service),
    status,
  })
  .meta({ id: "Extension" });

const showEndpoint = (extensionId: string, serviceId: string, of: ExtensionEndpoint): z.input<typeof endpoint> => ({
  ...of,
  extension_id: extensionId,
  service_id: serviceId,
  status: {},
});

/** The sealed configuration is not opened: the store tells its names, not its values. */
const showCredentials = (
  extensionId: string,
  serviceId: string,
  of: SealedCredentials,
  names: readonly string[],
): z.input<typeof credentials> => ({
  id: of.id,
  extension_id: extensionId,
  service_id: serviceId,
  default: of.default,
  scope: of.scope,
  projects: [...of.projects],
  users: [...of.users],
  configuration: Object.fromEntries(names.map((name) => [name, "<hidden>"])),
  status: { created: of.created, updated: of.updated },
});

const extensionKey = z.object({ extension_id: z.string() });
const serviceKey = extensionKey.extend({ service_id: z.string() });
const selfKey = z.object({ extension_id: z.string(), id: z.string() });
const endpointKey = serviceKey.extend({ url: z.string() });
const credentialsKey = serviceKey.extend({ id: z.string() });
const filter = z.object({
  extension_id: z.string().optional(),
  product: z.string().optional(),
  version: z.string().optional(),
  zone: z.string().optional(),
  service_id: z.string().optional(),
  service_resource: z.string().optional(),
  service_category: z.string().optional(),
});
const tag = "extension";
const notFound = ["extension.not-found", "extension.part-not-found"];

export const extensionRoutes = ({
  extensions,
  installer,
}: {
  extensions: ExtensionService;
  installer: ExtensionInstaller;
}) => {
  const show1 = (extensionId: string, serviceId: string, of: SealedCredentials) =>
    showCredentials(extensionId, serviceId, of, extensions.secretNames(of));
  const showService = (extensionId: string, of: StoredService): z.input<typeof service> => ({
    id: of.id,
    extension_id: extensionId,
    resource: of.resource,
    category: of.category,
    description: of.description,
    auth_required: of.auth_required,
    configuration: { ...of.configuration },
    endpoints: of.endpoints.map((entry) => showEndpoint(extensionId, of.id, entry)),
    credentials: of.credentials.map((entry) => show1(extensionId, of.id, entry)),
    status: { registered: of.registered, updated: of.updated },
  });
  const show = (of: StoredExtension): z.input<typeof extension> => ({
    id: of.id,
    product: of.product,
    version: of.version,
    description: of.description,
    zone: of.zone,
    configuration: { ...of.configuration },
    services: of.services.map((entry) => showService(of.id, entry)),
    status: { registered: of.registered, updated: of.updated },
  });
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
    "GET /extensions/{extension_id}/services": route({
      tag,
      summary: "List services",
      params: extensionKey,
      reply: z.array(service),
      errors: notFound,
      handler: async ({ params }) =>
        (await extensions.get(params.extension_id)).services.map((of) => showService(params.extension_id, of)),
    }),
    "POST /extensions/{extension_id}/services": route({
      tag,
      summary: "Add a service",
      params: extensionKey,
      body: serviceGiven,
      reply: service,
      status: 201,
      errors: [...notFound, "extension.part-exists"],
      handler: async ({ params, body }) =>
        showService(params.extension_id, await extensions.addService(params.extension_id, body)),
    }),
    "GET /extensions/{extension_id}/services/{id}": route({
      tag,
      summary: "Get a service",
      params: selfKey,
      reply: service,
      errors: notFound,
      handler: async ({ params }) =>
        showService(params.extension_id, await extensions.getService(params.extension_id, params.id)),
    }),
    "PUT /extensions/{extension_id}/services/{id}": route({
      tag,
      summary: "Change a service",
      params: selfKey,
      body: serviceGiven,
      reply: service,
      errors: notFound,
      handler: async ({ params, body }) =>
        showService(params.extension_id, await extensions.updateService(params.extension_id, params.id, body)),
    }),
    "DELETE /extensions/{extension_id}/services/{id}": route({
      tag,
      summary: "Delete a service",
      params: selfKey,
      reply: null,
      errors: notFound,
      handler: ({ params }) => extensions.removeService(params.extension_id, params.id),
    }),
    "GET /extensions/{extension_id}/services/{service_id}/endpoints": route({
      tag,
      summary: "List endpoints",
      params: serviceKey,
      reply: z.array(endpoint),
      errors: notFound,
      handler: async ({ params: { extension_id, service_id } }) =>
        (await extensions.getService(extension_id, service_id)).endpoints.map((of) =>
          showEndpoint(extension_id, service_id, of),
        ),
    }),
    "POST /extensions/{extension_id}/services/{service_id}/endpoints": route({
      tag,
      summary: "Add an endpoint",
      params: serviceKey,
      body: endpointGiven,
      reply: endpoint,
      status: 201,
      errors: [...notFound, "extension.part-exists"],
      handler: async ({ params: { extension_id, service_id }, body }) =>
        showEndpoint(extension_id, service_id, await extensions.addEndpoint(extension_id, service_id, body)),
    }),
    "GET /extensions/{extension_id}/services/{service_id}/endpoints/{url}": route({
      tag,
      summary: "Get an endpoint",
      params: endpointKey,
      reply: endpoint,
      errors: notFound,
      handler: async ({ params: { extension_id, service_id, url } }) =>
        showEndpoint(extension_id, service_id, await extensions.getEndpoint(extension_id, service_id, url)),
    }),
    "PUT /extensions/{extension_id}/services/{service_id}/endpoints/{url}": route({
      tag,
      summary: "Change an endpoint",
      params: endpointKey,
      body: endpointGiven.partial({ url: true }),
      reply: endpoint,
      errors: notFound,
      handler: async ({ params: { extension_id, service_id, url }, body }) =>
        showEndpoint(extension_id, service_id, await extensions.updateEndpoint(extension_id, service_id, url, body)),
    }),
    "DELETE /extensions/{extension_id}/services/{service_id}/endpoints/{url}": route({
      tag,
      summary: "Delete an endpoint",
      params: endpointKey,
      reply: null,
      errors: notFound,
      handler: ({ params: { extension_id, service_id, url } }) =>
        extensions.removeEndpoint(extension_id, service_id, url),
    }),
    "GET /extensions/{extension_id}/services/{service_id}/credentials": route({
      tag,
      summary: "List credentials; their values are hidden",
      params: serviceKey,
      reply: z.array(credentials),
      errors: notFound,
      handler: async ({ params: { extension_id, service_id } }) =>
        (await extensions.getService(extension_id, service_id)).credentials.map((of) =>
          show1(extension_id, service_id, of),
        ),
    }),
    "POST /extensions/{extension_id}/services/{service_id}/credentials": route({
      tag,
      summary: "Add credentials",
      params: serviceKey,
      body: credentialsGiven,
      reply: credentials,
      status: 201,
      errors: [...notFound, "extension.part-exists"],
      handler: async ({ params: { extension_id, service_id }, body }) =>
        show1(extension_id, service_id, await extensions.addCredentials(extension_id, service_id, body)),
    }),
    "GET /extensions/{extension_id}/services/{service_id}/credentials/{id}": route({
      tag,
      summary: "Get credentials; their values are hidden",
      params: credentialsKey,
      reply: credentials,
      errors: notFound,
      handler: async ({ params: { extension_id, service_id, id: of } }) =>
        show1(extension_id, service_id, await extensions.getCredentials(extension_id, service_id, of)),
    }),
    "PUT /extensions/{extension_id}/services/{service_id}/credentials/{id}": route({
      tag,
      summary: "Change credentials",
      params: credentialsKey,
      body: credentialsGiven,
      reply: credentials,
      errors: notFound,
      handler: async ({ params: { extension_id, service_id, id: of }, body }) =>
        show1(extension_id, service_id, await extensions.updateCredentials(extension_id, service_id, of, body)),
    }),
    "DELETE /extensions/{extension_id}/services/{service_id}/credentials/{id}": route({
      tag,
      summary: "Delete credentials",
      params: credentialsKey,
      reply: null,
      errors: notFound,
      handler: ({ params: { extension_id, service_id, id: of } }) =>
        extensions.removeCredentials(extension_id, service_id, of),
    }),
  };
};

/** Work that tells how it goes, as events; its last word is an event, too. */
async function* progress(work: (say: (message: string) => void) => Promise<string>): AsyncIterable<ServerEvent> {
  const said: ServerEvent[] = [{ event: "progress", data: { message: "checking what is there" } }];
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
