import { z } from "zod";
import type { SealedCredentials, StoredService } from "../extensions/repository.ts";
import type { ExtensionService } from "../extensions/service.ts";
import { route } from "../platform/http/route.ts";
import {
  credentials,
  credentialsGiven,
  credentialsKey,
  endpoint,
  endpointGiven,
  endpointKey,
  extensionKey,
  notFound,
  selfKey,
  service,
  serviceGiven,
  serviceKey,
  showCredentials,
  showEndpoint,
  showService,
  tag,
} from "./extension-schemas.ts";

/** Services of an extension, their endpoints and credentials. */
export const extensionPartRoutes = ({ extensions }: { extensions: ExtensionService }) => {
  const names = (of: SealedCredentials) => extensions.secretNames(of);
  const showSecret = (extensionId: string, serviceId: string, of: SealedCredentials) =>
    showCredentials(extensionId, serviceId, of, names(of));
  const showPart = (extensionId: string, of: StoredService) => showService(extensionId, of, names);
  return {
    "GET /extensions/{extension_id}/services": route({
      tag,
      summary: "List services",
      params: extensionKey,
      reply: z.array(service),
      errors: notFound,
      handler: async ({ params }) =>
        (await extensions.get(params.extension_id)).services.map((of) => showPart(params.extension_id, of)),
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
        showPart(params.extension_id, await extensions.addService(params.extension_id, body)),
    }),
    "GET /extensions/{extension_id}/services/{id}": route({
      tag,
      summary: "Get a service",
      params: selfKey,
      reply: service,
      errors: notFound,
      handler: async ({ params }) =>
        showPart(params.extension_id, await extensions.getService(params.extension_id, params.id)),
    }),
    "PUT /extensions/{extension_id}/services/{id}": route({
      tag,
      summary: "Change a service",
      params: selfKey,
      body: serviceGiven,
      reply: service,
      errors: notFound,
      handler: async ({ params, body }) =>
        showPart(params.extension_id, await extensions.updateService(params.extension_id, params.id, body)),
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
          showSecret(extension_id, service_id, of),
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
        showSecret(extension_id, service_id, await extensions.addCredentials(extension_id, service_id, body)),
    }),
    "GET /extensions/{extension_id}/services/{service_id}/credentials/{id}": route({
      tag,
      summary: "Get credentials; their values are hidden",
      params: credentialsKey,
      reply: credentials,
      errors: notFound,
      handler: async ({ params: { extension_id, service_id, id: of } }) =>
        showSecret(extension_id, service_id, await extensions.getCredentials(extension_id, service_id, of)),
    }),
    "PUT /extensions/{extension_id}/services/{service_id}/credentials/{id}": route({
      tag,
      summary: "Change credentials",
      params: credentialsKey,
      body: credentialsGiven,
      reply: credentials,
      errors: notFound,
      handler: async ({ params: { extension_id, service_id, id: of }, body }) =>
        showSecret(extension_id, service_id, await extensions.updateCredentials(extension_id, service_id, of, body)),
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
