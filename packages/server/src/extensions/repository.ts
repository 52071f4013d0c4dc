import type {
  CredentialScope,
  EndpointType,
  ExtensionCredentials,
  ExtensionEndpoint,
  ExtensionRecord,
  ExtensionService,
} from "@fuseml/core/extension/record";
import { fromJson, toFlag, toJson } from "../state/columns.ts";
import type { Db } from "../state/db.ts";

export type Registered = { readonly registered: string; readonly updated: string };
/** As it is stored: the configuration of credentials is sealed. */
export type SealedCredentials = Omit<ExtensionCredentials, "configuration"> & {
  readonly sealed: string;
  readonly created: string;
  readonly updated: string;
};
export type StoredService = Omit<ExtensionService, "credentials"> &
  Registered & { readonly credentials: readonly SealedCredentials[] };
export type StoredExtension = Omit<ExtensionRecord, "services"> &
  Registered & { readonly services: readonly StoredService[] };

/** The Extension Registry's records, each extension a whole with its services, endpoints and credentials. */
export interface ExtensionRepository {
  get(id: string): Promise<StoredExtension | undefined>;
  /** By id. */
  list(): Promise<StoredExtension[]>;
  /** Writes the whole record, in place of the one with this id. */
  save(extension: StoredExtension): Promise<void>;
  remove(id: string): Promise<boolean>;
}

export const extensionRepository = (db: Db): ExtensionRepository => {
  async function load(id?: string): Promise<StoredExtension[]> {
    const of = id === undefined ? undefined : id;
    const [extensions, services, endpoints, credentials] = await Promise.all([
      db
        .selectFrom("extension")
        .selectAll()
        .$if(of !== undefined, (query) => query.where("id", "=", of ?? ""))
        .orderBy("id")
        .execute(),
      db
        .selectFrom("extension_service")
        .selectAll()
        .$if(of !== undefined, (query) => query.where("extension_id", "=", of ?? ""))
        .orderBy("id")
        .execute(),
      db
        .selectFrom("extension_endpoint")
        .selectAll()
        .$if(of !== undefined, (query) => query.where("extension_id", "=", of ?? ""))
        .orderBy("url")
        .execute(),
      db
        .selectFrom("extension_credentials")
        .selectAll()
        .$if(of !== undefined, (query) => query.where("extension_id", "=", of ?? ""))
        .orderBy("id")
        .execute(),
    ]);
    return extensions.map((extension) => ({
      ...extension,
      configuration: fromJson(extension.configuration),
      services: services
        .filter((service) => service.extension_id === extension.id)
        .map((service) => ({
          id: service.id,
          resource: service.resource,
          category: service.category,
          description: service.description,
          auth_required: service.auth_required === 1,
          configuration: fromJson(service.configuration),
          registered: service.registered,
          updated: service.updated,
          endpoints: endpoints
            .filter((endpoint) => endpoint.extension_id === extension.id && endpoint.service_id === service.id)
            .map(
              (endpoint): ExtensionEndpoint => ({
                url: endpoint.url,
                type: endpoint.type as EndpointType,
                configuration: fromJson(endpoint.configuration),
              }),
            ),
          credentials: credentials
            .filter((entry) => entry.extension_id === extension.id && entry.service_id === service.id)
            .map(
              (entry): SealedCredentials => ({
                id: entry.id,
                default: entry.is_default === 1,
                scope: entry.scope as CredentialScope,
                projects: fromJson(entry.projects),
                users: fromJson(entry.users),
                sealed: entry.configuration,
                created: entry.created,
                updated: entry.updated,
              }),
            ),
        })),
    }));
  }

  async function remove(id: string): Promise<boolean> {
    const result = await db.deleteFrom("extension").where("id", "=", id).executeTakeFirst();
    return result.numDeletedRows > 0n;
  }

  return {
    get: async (id) => (await load(id))[0],
    list: () => load(),
    remove,
    async save({ services, ...extension }) {
      await remove(extension.id);
      await db
        .insertInto("extension")
        .values({ ...extension, configuration: toJson(extension.configuration) })
        .execute();
      for (const { endpoints, credentials, ...service } of services) {
        const key = { extension_id: extension.id, service_id: service.id };
        await db
          .insertInto("extension_service")
          .values({
            ...service,
            extension_id: extension.id,
            auth_required: toFlag(service.auth_required),
            configuration: toJson(service.configuration),
          })
          .execute();
        for (const endpoint of endpoints) {
          await db
            .insertInto("extension_endpoint")
            .values({ ...key, ...endpoint, configuration: toJson(endpoint.configuration) })
            .execute();
        }
        for (const { sealed, default: isDefault, projects, users, ...entry } of credentials) {
          await db
            .insertInto("extension_credentials")
            .values({
              ...key,
              ...entry,
              is_default: toFlag(isDefault),
              projects: toJson(projects),
              users: toJson(users),
              configuration: sealed,
            })
            .execute();
        }
      }
    },
  };
};
