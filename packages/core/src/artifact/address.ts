import { failure } from "../errors.ts";

export const artifactKinds = ["code", "model", "dataset", "runnable"] as const;
export type ArtifactKind = (typeof artifactKinds)[number];

/** Address of an artifact version, e.g. `model://wines/elastic/3`. A resolved address never changes what it points to. */
export type ArtifactAddress = {
  readonly kind: ArtifactKind;
  readonly project: string;
  readonly name: string;
  readonly version: string;
};

/** Names of projects, codesets, models …: upstream's own pattern. */
export const namePattern = /^[A-Za-z0-9_][A-Za-z0-9_-]*$/;
const versionPattern = /^[A-Za-z0-9_][A-Za-z0-9_.+/-]*$/;

/** A reference to an artifact as people write it: the version may be missing (the newest) or a moving ref (`@main`). */
export type ArtifactReference = Omit<ArtifactAddress, "version"> & { readonly version?: string };

/**
 * Reads `kind://project/name`, `kind://project/name/version` or `kind://project/name@ref`.
 * @throws `address.invalid`
 */
export function parseReference(text: string): ArtifactReference {
  const invalid = (reason: string) => failure("address.invalid", { text, reason });
  const match = /^([a-z]+):\/\/([^/@]+)\/([^/@]+)(?:[/@](.+))?$/.exec(text);
  if (!match) throw invalid("it must be kind://project/name[/version]");
  const [, kind, project, name, version] = match;
  if (!kind || !artifactKinds.includes(kind as ArtifactKind))
    throw invalid(`the kind is one of ${artifactKinds.join(", ")}`);
  if (!project || !namePattern.test(project)) throw invalid(`"${project}" is not a project name`);
  if (!name || !namePattern.test(name)) throw invalid(`"${name}" is not a name`);
  if (version !== undefined && !versionPattern.test(version)) throw invalid(`"${version}" is not a version`);
  return { kind: kind as ArtifactKind, project, name, ...(version === undefined ? {} : { version }) };
}

/** Reads an address with its version. @throws `address.invalid` */
export function parseAddress(text: string): ArtifactAddress {
  const { version, ...rest } = parseReference(text);
  if (version === undefined) throw failure("address.invalid", { text, reason: "the version is missing" });
  return { ...rest, version };
}

export const formatAddress = ({ kind, project, name, version }: ArtifactAddress): string =>
  `${kind}://${project}/${name}/${version}`;

/** As people like to read it: a commit is cut to seven characters. */
export const formatShort = (address: ArtifactAddress): string =>
  formatAddress({ ...address, version: address.kind === "code" ? address.version.slice(0, 7) : address.version });
