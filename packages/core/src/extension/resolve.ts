import semver from "semver";
import type { ExtensionRequirement } from "../workflow/definition.ts";
import type {
  Configuration,
  ExtensionCredentials,
  ExtensionEndpoint,
  ExtensionRecord,
  ExtensionService,
} from "./record.ts";

/** For whom a requirement is resolved. */
export type ResolveContext = { readonly project: string; readonly user?: string; readonly zone?: string };

/** Which records a step gets: everything but the values. Safe to show and to store. */
export type ResolvedChoice = {
  readonly extension: string;
  readonly service: string;
  readonly endpoint: string;
  readonly credentials?: string;
};

export type Resolution =
  | {
      readonly resolved: true;
      readonly choice: ResolvedChoice;
      /** Other matches, worst last. */
      readonly passedOver: readonly ResolvedChoice[];
      /** Merged in the order extension, service, endpoint, credentials; a later one wins. */
      readonly variables: Configuration;
      /** The names of the variables that come from credentials. */
      readonly secrets: ReadonlySet<string>;
    }
  | { readonly resolved: false; readonly reason: string };

type Candidate = {
  readonly record: ExtensionRecord;
  readonly service: ExtensionService;
  readonly endpoint: ExtensionEndpoint | undefined;
  readonly credentials: ExtensionCredentials | undefined;
};

/**
 * Finds the service, endpoint and credentials that a step gets. Pure: the same records give the same choice.
 * Order of preference: internal endpoints, then extension id, service id, URL, then default credentials, the narrowest
 * scope and the credentials' id.
 */
export function resolveExtension(
  requirement: ExtensionRequirement,
  records: readonly ExtensionRecord[],
  context: ResolveContext,
): Resolution {
  const reasons: string[] = [];
  const candidates: Candidate[] = [];
  for (const record of records) {
    const refused = whyNotRecord(requirement, record);
    if (refused) {
      reasons.push(`${record.id}: ${refused}`);
      continue;
    }
    for (const service of record.services) {
      const why = whyNotService(requirement, service);
      if (why) {
        reasons.push(`${record.id}/${service.id}: ${why}`);
        continue;
      }
      const visible = service.credentials.filter((credentials) => isVisible(credentials, context));
      if (service.auth_required && visible.length === 0) {
        reasons.push(`${record.id}/${service.id}: no credentials for project "${context.project}"`);
        continue;
      }
      const reachable = service.endpoints.filter((endpoint) => isReachable(endpoint, record, requirement, context));
      if (service.endpoints.length > 0 && reachable.length === 0) {
        reasons.push(
          `${record.id}/${service.id}: no endpoint is reachable from zone "${requirement.zone ?? context.zone ?? ""}"`,
        );
        continue;
      }
      for (const endpoint of reachable.length > 0 ? reachable : [undefined]) {
        for (const credentials of visible.length > 0 ? visible : [undefined]) {
          candidates.push({ record, service, endpoint, credentials });
        }
      }
    }
  }
  const [best, ...others] = candidates.sort(byPreference);
  if (!best) return { resolved: false, reason: explain(requirement, records, reasons) };
  return {
    resolved: true,
    choice: choiceOf(best),
    passedOver: others.map(choiceOf),
    variables: {
      ...best.record.configuration,
      ...best.service.configuration,
      ...best.endpoint?.configuration,
      ...best.credentials?.configuration,
    },
    secrets: new Set(Object.keys(best.credentials?.configuration ?? {})),
  };
}

const choiceOf = ({ record, service, endpoint, credentials }: Candidate): ResolvedChoice => ({
  extension: record.id,
  service: service.id,
  endpoint: endpoint?.url ?? "",
  ...(credentials ? { credentials: credentials.id } : {}),
});

function whyNotRecord(requirement: ExtensionRequirement, record: ExtensionRecord): string | undefined {
  if (requirement.extension_id && requirement.extension_id !== record.id)
    return `its id is not "${requirement.extension_id}"`;
  if (requirement.product && requirement.product !== record.product) return `its product is "${record.product}"`;
  if (requirement.version && !versionMatches(record.version, requirement.version)) {
    return `its version ${record.version || "(none)"} does not meet "${requirement.version}"`;
  }
  return undefined;
}

function whyNotService(requirement: ExtensionRequirement, service: ExtensionService): string | undefined {
  if (requirement.service_id && requirement.service_id !== service.id)
    return `its id is not "${requirement.service_id}"`;
  if (requirement.service_resource && requirement.service_resource !== service.resource)
    return `its resource is "${service.resource}"`;
  if (requirement.service_category && requirement.service_category !== service.category)
    return `its category is "${service.category}"`;
  return undefined;
}

/** Equal, or a semantic-version constraint that the version meets. A version that cannot be read matches only when equal. */
export function versionMatches(version: string, wanted: string): boolean {
  if (version === wanted) return true;
  const parsed = semver.coerce(version, { includePrerelease: true });
  return (
    parsed !== null &&
    semver.validRange(wanted) !== null &&
    semver.satisfies(parsed, wanted, { includePrerelease: true })
  );
}

function isReachable(
  endpoint: ExtensionEndpoint,
  record: ExtensionRecord,
  requirement: ExtensionRequirement,
  context: ResolveContext,
): boolean {
  const zone = requirement.zone ?? context.zone ?? "";
  if (endpoint.type === "external") return true;
  return zone === record.zone;
}

function isVisible(credentials: ExtensionCredentials, { project, user }: ResolveContext): boolean {
  switch (credentials.scope) {
    case "global":
      return true;
    case "project":
      return credentials.projects.includes(project);
    case "user":
      return (
        user !== undefined &&
        credentials.users.includes(user) &&
        (credentials.projects.length === 0 || credentials.projects.includes(project))
      );
  }
}

const breadth = { user: 0, project: 1, global: 2 } as const;
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function byPreference(a: Candidate, b: Candidate): number {
  const inner = (candidate: Candidate) => (candidate.endpoint?.type === "internal" ? 0 : 1);
  const isDefault = (candidate: Candidate) => (candidate.credentials?.default ? 0 : 1);
  const scope = (candidate: Candidate) => (candidate.credentials ? breadth[candidate.credentials.scope] : 3);
  return (
    inner(a) - inner(b) ||
    compare(a.record.id, b.record.id) ||
    compare(a.service.id, b.service.id) ||
    compare(a.endpoint?.url ?? "", b.endpoint?.url ?? "") ||
    isDefault(a) - isDefault(b) ||
    scope(a) - scope(b) ||
    compare(a.credentials?.id ?? "", b.credentials?.id ?? "")
  );
}

function explain(
  requirement: ExtensionRequirement,
  records: readonly ExtensionRecord[],
  reasons: readonly string[],
): string {
  const wanted = Object.entries(requirement)
    .filter(([key, value]) => key !== "name" && key !== "status" && value)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(", ");
  if (records.length === 0) return `wanted ${wanted || "anything"}; no extension is registered`;
  return `wanted ${wanted || "anything"}; ${reasons.slice(0, 5).join("; ")}`;
}
