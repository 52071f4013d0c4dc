import { randomBytes } from "node:crypto";
import { failure } from "@fuseml/core/errors";
import type {
  ExtensionCredentials,
  ExtensionEndpoint,
  ExtensionRecord,
  ExtensionService as ServiceRecord,
} from "@fuseml/core/extension/record";
import {
  type ResolveContext,
  type ResolvedChoice,
  resolveExtension,
  versionMatches,
} from "@fuseml/core/extension/resolve";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { ExtensionRequirement } from "@fuseml/core/workflow/definition";
import { type Clock, instant } from "../platform/clock.ts";
import type { Cipher } from "../platform/secrets/cipher.ts";
import type { Store } from "../state/store.ts";
import type { SealedCredentials, StoredExtension, StoredService } from "./repository.ts";

/** What a step gets of the registry. `secrets` are values: for masking and for the step's environment only. */
export type StepExtensions = {
  readonly variables: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly secrets: readonly string[];
  readonly choices: Readonly<Record<string, ResolvedChoice>>;
};

/** How runs and workflows ask the registry. */
export interface ExtensionResolver {
  /** Resolves all requirements of a step. @throws `extension.unresolved` */
  forStep(step: Pick<StepSpec, "name" | "extensions">, context: ResolveContext): Promise<StepExtensions>;
  /** The registry as it is now, for checking definitions. */
  catalogue(): Promise<{ whyUnresolved(requirement: ExtensionRequirement): string | undefined }>;
}

type Given<T> = { [K in keyof T]?: T[K] | undefined };
export type CredentialsGiven = Given<ExtensionCredentials>;
export type EndpointGiven = Given<ExtensionEndpoint> & { url: string };
export type ServiceGiven = Given<Omit<ServiceRecord, "endpoints" | "credentials">> & {
  endpoints?: EndpointGiven[] | undefined;
  credentials?: CredentialsGiven[] | undefined;
};
export type ExtensionGiven = Given<Omit<ExtensionRecord, "services">> & { services?: ServiceGiven[] | undefined };

export type ExtensionFilter = {
  readonly id?: string | undefined;
  readonly product?: string | undefined;
  readonly version?: string | undefined;
  readonly zone?: string | undefined;
  readonly serviceId?: string | undefined;
  readonly serviceResource?: string | undefined;
  readonly serviceCategory?: string | undefined;
};

/** The Extension Registry: third-party tools, their services, endpoints and credentials. */
export class ExtensionService implements ExtensionResolver {
  private readonly parts: { store: Store; clock: Clock; cipher: Cipher };

  constructor(parts: ExtensionService["parts"]) {
    this.parts = parts;
  }

  async forStep(step: Pick<StepSpec, "name" | "extensions">, context: ResolveContext): Promise<StepExtensions> {
    const variables: Record<string, Readonly<Record<string, string>>> = {};
    const secrets: string[] = [];
    const choices: Record<string, ResolvedChoice> = {};
    const records = step.extensions.length > 0 ? await this.opened() : [];
    for (const requirement of step.extensions) {
      const resolution = resolveExtension(requirement, records, context);
      if (!resolution.resolved)
        throw failure("extension.unresolved", {
          step: step.name,
          extension: requirement.name,
          reason: resolution.reason,
        });
      variables[requirement.name] = resolution.variables;
      choices[requirement.name] = resolution.choice;
      for (const name of resolution.secrets) secrets.push(resolution.variables[name] ?? "");
    }
    return { variables, secrets, choices };
  }

  async catalogue(): Promise<{ whyUnresolved(requirement: ExtensionRequirement): string | undefined }> {
    const records = await this.opened();
    return {
      whyUnresolved: (requirement) => {
        // credentials depend on the run's project: at this point any will do
        const resolution = resolveExtension(requirement, records.map(withoutAuthentication), { project: "" });
        return resolution.resolved ? undefined : resolution.reason;
      },
    };
  }

  private async opened(): Promise<ExtensionRecord[]> {
    const { store, cipher } = this.parts;
    return (await store.read.extensions.list()).map((extension) => ({
      ...extension,
      services: extension.services.map((service) => ({
        ...service,
        credentials: service.credentials.map(({ sealed, ...rest }) => ({
          ...rest,
          configuration: JSON.parse(cipher.open(sealed)) as Record<string, string>,
        })),
      })),
    }));
  }

  async list(filter: ExtensionFilter = {}): Promise<StoredExtension[]> {
    const of = (wanted: string | undefined, found: string) => !wanted || wanted === found;
    return (await this.parts.store.read.extensions.list()).filter(
      (extension) =>
        of(filter.id, extension.id) &&
        of(filter.product, extension.product) &&
        of(filter.zone, extension.zone) &&
        (!filter.version || versionMatches(extension.version, filter.version)) &&
        ((!filter.serviceId && !filter.serviceResource && !filter.serviceCategory) ||
          extension.services.some(
            (service) =>
              of(filter.serviceId, service.id) &&
              of(filter.serviceResource, service.resource) &&
              of(filter.serviceCategory, service.category),
          )),
    );
  }

  /** @throws `extension.not-found` */
  async get(id: string): Promise<StoredExtension> {
    const extension = await this.parts.store.read.extensions.get(id);
    if (!extension) throw failure("extension.not-found", { name: id });
    return extension;
  }

  /** @throws `extension.exists` */
  async register(given: ExtensionGiven): Promise<StoredExtension> {
    const now = instant(this.parts.clock);
    const id = given.id || `${given.product || "extension"}-${randomBytes(4).toString("hex")}`;
    const extension: StoredExtension = {
      id,
      product: given.product ?? "",
      version: given.version ?? "",
      description: given.description ?? "",
      zone: given.zone ?? "",
      configuration: given.configuration ?? {},
      registered: now,
      updated: now,
      services: unique(
        (given.services ?? []).map((service) => this.newService(service, given.product ?? "service", now)),
        "service",
        id,
      ),
    };
    return this.parts.store.transaction(async (unit) => {
      if (await unit.extensions.get(id)) throw failure("extension.exists", { name: id });
      await unit.extensions.save(extension);
      return extension;
    });
  }

  /** Changes the fields that are given. Services, when given, take the place of all there were. */
  update(id: string, given: ExtensionGiven): Promise<StoredExtension> {
    return this.change(id, (extension, now) => ({
      ...extension,
      ...defined({
        product: given.product,
        version: given.version,
        description: given.description,
        zone: given.zone,
        configuration: given.configuration,
      }),
      ...(given.services
        ? { services: given.services.map((service) => this.newService(service, extension.product, now)) }
        : {}),
    }));
  }

  async remove(id: string): Promise<void> {
    if (!(await this.parts.store.transaction((unit) => unit.extensions.remove(id))))
      throw failure("extension.not-found", { name: id });
  }

  async addService(id: string, given: ServiceGiven): Promise<StoredService> {
    const extension = await this.change(id, (present, now) => ({
      ...present,
      services: unique([...present.services, this.newService(given, present.product, now)], "service", id),
    }));
    return extension.services.at(-1) as StoredService;
  }

  async getService(id: string, serviceId: string): Promise<StoredService> {
    return part((await this.get(id)).services, serviceId, "service", id);
  }

  updateService(id: string, serviceId: string, given: ServiceGiven): Promise<StoredService> {
    return this.changeService(id, serviceId, (service, now) => ({
      ...service,
      ...defined({
        resource: given.resource,
        category: given.category,
        description: given.description,
        auth_required: given.auth_required,
        configuration: given.configuration,
      }),
      ...(given.endpoints ? { endpoints: given.endpoints.map(newEndpoint) } : {}),
      ...(given.credentials ? { credentials: given.credentials.map((entry) => this.newCredentials(entry, now)) } : {}),
    }));
  }

  async removeService(id: string, serviceId: string): Promise<void> {
    await this.change(id, (extension) => {
      part(extension.services, serviceId, "service", id);
      return { ...extension, services: extension.services.filter((service) => service.id !== serviceId) };
    });
  }

  async addEndpoint(id: string, serviceId: string, given: EndpointGiven): Promise<ExtensionEndpoint> {
    const endpoint = newEndpoint(given);
    await this.changeService(id, serviceId, (service) => {
      if (service.endpoints.some((present) => present.url === given.url))
        throw failure("extension.part-exists", { what: "endpoint", name: given.url, of: serviceId });
      return { ...service, endpoints: [...service.endpoints, endpoint] };
    });
    return endpoint;
  }

  async getEndpoint(id: string, serviceId: string, url: string): Promise<ExtensionEndpoint> {
    const { endpoints } = await this.getService(id, serviceId);
    const found = endpoints.find((endpoint) => endpoint.url === url);
    if (!found) throw failure("extension.part-not-found", { what: "endpoint", name: url, of: serviceId });
    return found;
  }

  async updateEndpoint(
    id: string,
    serviceId: string,
    url: string,
    given: Omit<EndpointGiven, "url">,
  ): Promise<ExtensionEndpoint> {
    const endpoint = {
      ...(await this.getEndpoint(id, serviceId, url)),
      ...defined({ type: given.type, configuration: given.configuration }),
    };
    await this.changeService(id, serviceId, (service) => ({
      ...service,
      endpoints: service.endpoints.map((present) => (present.url === url ? endpoint : present)),
    }));
    return endpoint;
  }

  async removeEndpoint(id: string, serviceId: string, url: string): Promise<void> {
    await this.getEndpoint(id, serviceId, url);
    await this.changeService(id, serviceId, (service) => ({
      ...service,
      endpoints: service.endpoints.filter((endpoint) => endpoint.url !== url),
    }));
  }

  async addCredentials(id: string, serviceId: string, given: CredentialsGiven): Promise<SealedCredentials> {
    const service = await this.changeService(id, serviceId, (present, now) => ({
      ...present,
      credentials: unique([...present.credentials, this.newCredentials(given, now)], "credentials", serviceId),
    }));
    return service.credentials.at(-1) as SealedCredentials;
  }

  async getCredentials(id: string, serviceId: string, credentialsId: string): Promise<SealedCredentials> {
    return part((await this.getService(id, serviceId)).credentials, credentialsId, "credentials", serviceId);
  }

  async updateCredentials(
    id: string,
    serviceId: string,
    credentialsId: string,
    given: CredentialsGiven,
  ): Promise<SealedCredentials> {
    const service = await this.changeService(id, serviceId, (present, now) => {
      part(present.credentials, credentialsId, "credentials", serviceId);
      return {
        ...present,
        credentials: present.credentials.map((entry) =>
          entry.id === credentialsId
            ? {
                ...entry,
                ...defined({
                  default: given.default,
                  scope: given.scope,
                  projects: given.projects,
                  users: given.users,
                }),
                ...(given.configuration ? { sealed: this.seal(given.configuration) } : {}),
                updated: now,
              }
            : entry,
        ),
      };
    });
    return part(service.credentials, credentialsId, "credentials", serviceId);
  }

  async removeCredentials(id: string, serviceId: string, credentialsId: string): Promise<void> {
    await this.changeService(id, serviceId, (service) => {
      part(service.credentials, credentialsId, "credentials", serviceId);
      return { ...service, credentials: service.credentials.filter((entry) => entry.id !== credentialsId) };
    });
  }

  private change(
    id: string,
    how: (extension: StoredExtension, now: string) => StoredExtension,
  ): Promise<StoredExtension> {
    return this.parts.store.transaction(async (unit) => {
      const present = await unit.extensions.get(id);
      if (!present) throw failure("extension.not-found", { name: id });
      const now = instant(this.parts.clock);
      const changed = { ...how(present, now), updated: now };
      await unit.extensions.save(changed);
      return changed;
    });
  }

  private async changeService(
    id: string,
    serviceId: string,
    how: (service: StoredService, now: string) => StoredService,
  ): Promise<StoredService> {
    const extension = await this.change(id, (present, now) => {
      const service = part(present.services, serviceId, "service", id);
      const changed = { ...how(service, now), updated: now };
      return { ...present, services: present.services.map((other) => (other.id === serviceId ? changed : other)) };
    });
    return part(extension.services, serviceId, "service", id);
  }

  private newService(given: ServiceGiven, product: string, now: string): StoredService {
    return {
      id: given.id || given.resource || `${product}-${randomBytes(4).toString("hex")}`,
      resource: given.resource ?? "",
      category: given.category ?? "",
      description: given.description ?? "",
      auth_required: given.auth_required ?? false,
      configuration: given.configuration ?? {},
      registered: now,
      updated: now,
      endpoints: (given.endpoints ?? []).map(newEndpoint),
      credentials: (given.credentials ?? []).map((entry) => this.newCredentials(entry, now)),
    };
  }

  private newCredentials(given: CredentialsGiven, now: string): SealedCredentials {
    return {
      id: given.id || `creds-${randomBytes(4).toString("hex")}`,
      default: given.default ?? false,
      scope: given.scope ?? "global",
      projects: given.projects ?? [],
      users: given.users ?? [],
      sealed: this.seal(given.configuration ?? {}),
      created: now,
      updated: now,
    };
  }

  /** The names of the variables in credentials, without their values. */
  secretNames({ sealed }: SealedCredentials): string[] {
    return Object.keys(JSON.parse(this.parts.cipher.open(sealed)) as Record<string, string>);
  }

  private seal(configuration: Readonly<Record<string, string>>): string {
    return this.parts.cipher.seal(JSON.stringify(configuration));
  }
}

const newEndpoint = (given: EndpointGiven): ExtensionEndpoint => ({
  url: given.url,
  type: given.type ?? "external",
  configuration: given.configuration ?? {},
});

const withoutAuthentication = (record: ExtensionRecord): ExtensionRecord => ({
  ...record,
  services: record.services.map((service) => ({ ...service, auth_required: false })),
});

const defined = <T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };

function part<T extends { readonly id: string }>(parts: readonly T[], id: string, what: string, of: string): T {
  const found = parts.find((candidate) => candidate.id === id);
  if (!found) throw failure("extension.part-not-found", { what, name: id, of });
  return found;
}

function unique<T extends { readonly id: string }>(parts: readonly T[], what: string, of: string): readonly T[] {
  const twice = parts.find((candidate, index) => parts.findIndex((other) => other.id === candidate.id) !== index);
  if (twice) throw failure("extension.part-exists", { what, name: twice.id, of });
  return parts;
}
