import { failure } from "../errors.ts";
import { type ArtifactAddress, type ArtifactKind, artifactKinds, namePattern } from "./address.ts";

/** Which artifacts an assignment accepts for an input: `code://*`, `code://wines/*`, `code://wines/train`. */
export type ArtifactPattern = { readonly kind: ArtifactKind; readonly project: string; readonly name: string };

const any = "*";

/** Reads a pattern. `kind://*` means every project and name. @throws `address.invalid` */
export function parsePattern(text: string): ArtifactPattern {
  const invalid = (reason: string) => failure("address.invalid", { text, reason });
  const match = /^([a-z]+):\/\/([^/]+)(?:\/([^/]+))?$/.exec(text);
  const [, kind, project, name = any] = match ?? [];
  if (!kind || !project) throw invalid("a pattern is kind://*, kind://project/* or kind://project/name");
  if (!artifactKinds.includes(kind as ArtifactKind)) throw invalid(`the kind is one of ${artifactKinds.join(", ")}`);
  if (match?.[3] === undefined && project !== any) throw invalid("the name is missing; write /* for all of a project");
  for (const part of [project, name]) {
    if (part !== any && !namePattern.test(part)) throw invalid(`"${part}" is neither a name nor *`);
  }
  if (project === any && name !== any) throw invalid("a name in any project is not a pattern");
  return { kind: kind as ArtifactKind, project, name };
}

export const formatPattern = ({ kind, project, name }: ArtifactPattern): string =>
  project === any ? `${kind}://${any}` : `${kind}://${project}/${name}`;

/** Whether the pattern accepts this artifact. */
export const accepts = (pattern: ArtifactPattern, address: ArtifactAddress): boolean =>
  pattern.kind === address.kind &&
  (pattern.project === any || pattern.project === address.project) &&
  (pattern.name === any || pattern.name === address.name);

/** The one artifact a pattern names, when it names exactly one. */
export const exactly = (pattern: ArtifactPattern): { project: string; name: string } | undefined =>
  pattern.project === any || pattern.name === any ? undefined : { project: pattern.project, name: pattern.name };
