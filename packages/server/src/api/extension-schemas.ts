import { credentialScopes, type ExtensionEndpoint } from "@fuseml/core/extension/record";
import { z } from "zod";
import type { SealedCredentials, StoredExtension, StoredService } from "../extensions/repository.ts";
import { configuration } from "./shared.ts";

export const id = z
  .string()
  .max(100)
  .regex(/^([A-Za-z0-9_][A-Za-z0-9_-]*)?$/, "letters, digits, - and _ only");
export const values = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String));
export const ignored = z.unknown().optional();

export const credentialsGiven = z.object({
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
export const endpointGiven = z.object({
  url: z.string().min(1).max(200),
  type: z.enum(["internal", "external"]).optional(),
  configuration: values.optional(),
  status: ignored,
});
export const serviceGiven = z.object({
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
export const extensionGiven = z.object({
  id: id.optional(),
  product: z.string().max(100).optional(),
  version: z.string().max(100).optional(),
  description: z.string().max(1000).optional(),
  zone: z.string().max(100).optional(),
  configuration: values.optional(),
  services: z.array(serviceGiven).optional(),
  status: ignored,
});

export const credentials = z
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
export const endpoint = z
  .object({
    url: z.string(),
    extension_id: z.string(),
    service_id: z.string(),
    type: z.enum(["internal", "external"]),
    configuration,
    status: z.object({}),
  })
  .meta({ id: "ExtensionEndpoint" });
export const status = z.object({ registered: z.string(), updated: z.string() });
export const service = z
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
export const extension = z
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

export const showEndpoint = (
  extensionId: string,
  serviceId: string,
  of: ExtensionEndpoint,
): z.input<typeof endpoint> => ({
  ...of,
  extension_id: extensionId,
  service_id: serviceId,
  status: {},
});

/** The sealed configuration is not opened: the store tells its names, not its values. */
export const showCredentials = (
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

export const extensionKey = z.object({ extension_id: z.string() });
export const serviceKey = extensionKey.extend({ service_id: z.string() });
export const selfKey = z.object({ extension_id: z.string(), id: z.string() });
export const endpointKey = serviceKey.extend({ url: z.string() });
export const credentialsKey = serviceKey.extend({ id: z.string() });
export const filter = z.object({
  extension_id: z.string().optional(),
  product: z.string().optional(),
  version: z.string().optional(),
  zone: z.string().optional(),
  service_id: z.string().optional(),
  service_resource: z.string().optional(),
  service_category: z.string().optional(),
});
export const tag = "extension";
export const notFound = ["extension.not-found", "extension.part-not-found"];

/** The names of the variables in credentials, without their values. */
export type SecretNames = (of: SealedCredentials) => readonly string[];

export const showService = (extensionId: string, of: StoredService, names: SecretNames): z.input<typeof service> => ({
  id: of.id,
  extension_id: extensionId,
  resource: of.resource,
  category: of.category,
  description: of.description,
  auth_required: of.auth_required,
  configuration: { ...of.configuration },
  endpoints: of.endpoints.map((entry) => showEndpoint(extensionId, of.id, entry)),
  credentials: of.credentials.map((entry) => showCredentials(extensionId, of.id, entry, names(entry))),
  status: { registered: of.registered, updated: of.updated },
});

export const showExtension = (of: StoredExtension, names: SecretNames): z.input<typeof extension> => ({
  id: of.id,
  product: of.product,
  version: of.version,
  description: of.description,
  zone: of.zone,
  configuration: { ...of.configuration },
  services: of.services.map((entry) => showService(of.id, entry, names)),
  status: { registered: of.registered, updated: of.updated },
});
