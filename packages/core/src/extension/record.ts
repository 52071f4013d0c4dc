export type Configuration = Readonly<Record<string, string>>;

export const credentialScopes = ["global", "project", "user"] as const;
export type CredentialScope = (typeof credentialScopes)[number];

/** Credentials of a service. `configuration` holds secrets: it leaves the registry only into a step's environment. */
export type ExtensionCredentials = {
  readonly id: string;
  readonly default: boolean;
  readonly scope: CredentialScope;
  readonly projects: readonly string[];
  readonly users: readonly string[];
  readonly configuration: Configuration;
};

export type EndpointType = "internal" | "external";

export type ExtensionEndpoint = {
  readonly url: string;
  readonly type: EndpointType;
  readonly configuration: Configuration;
};

export type ExtensionService = {
  readonly id: string;
  readonly resource: string;
  readonly category: string;
  readonly description: string;
  readonly auth_required: boolean;
  readonly configuration: Configuration;
  readonly endpoints: readonly ExtensionEndpoint[];
  readonly credentials: readonly ExtensionCredentials[];
};

/** A third-party tool as the Extension Registry knows it. */
export type ExtensionRecord = {
  readonly id: string;
  readonly product: string;
  readonly version: string;
  readonly description: string;
  readonly zone: string;
  readonly configuration: Configuration;
  readonly services: readonly ExtensionService[];
};
