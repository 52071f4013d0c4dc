import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Entry, entriesOf } from "./layer.ts";

/** Where FuseML's programs are in an image. */
export const home = "/opt/fuseml";
export const nodeProgram = `${home}/bin/node`;
const repository = fileURLToPath(new URL("../../../", import.meta.url));

type PackageFile = { readonly name: string; readonly dependencies?: Readonly<Record<string, string>> };

const readPackage = (directory: string): PackageFile =>
  JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as PackageFile;

/** The directory that Node finds for a package from a directory. */
function resolvePackage(name: string, from: string): string {
  for (let at = from; ; at = dirname(at)) {
    const candidate = join(at, "node_modules", name);
    if (existsSync(join(candidate, "package.json"))) return candidate;
    if (at === dirname(at)) throw new Error(`package ${name} is not installed: run npm ci`);
  }
}

/** All that the step programs need at run time: our packages, and theirs, as they lie in this repository. */
function closure(first: string): readonly string[] {
  const found = new Set<string>();
  const visit = (directory: string): void => {
    if (found.has(directory)) return;
    found.add(directory);
    const real = realpathSync(directory);
    for (const name of Object.keys(readPackage(real).dependencies ?? {})) visit(resolvePackage(name, real));
  };
  visit(first);
  return [...found];
}

const isOurs = (directory: string): boolean => !realpathSync(directory).includes("/node_modules/");
const unwanted =
  /(^|\/)(node_modules|test|tests|__tests__|docs|example|examples)(\/|$)|\.(test|fixture|conformance)\.ts$|(?<!license)\.(md|map|d\.ts|d\.mts|d\.cts)$|^dist-types\//i;
const unwantedOfOurs = /(^|\/)node_modules(\/|$)|\.(test|fixture|conformance)\.ts$/;

/** The step programs with what they need. */
export function programEntries(): Entry[] {
  const entries = new Map<string, Entry>();
  const take = (list: readonly Entry[]) => {
    for (const entry of list) entries.set(entry.path, entry);
  };
  for (const directory of closure(join(repository, "packages", "steps"))) {
    const real = realpathSync(directory);
    const place = `${home}/${real.slice(repository.length)}`;
    const skip = isOurs(directory) ? unwantedOfOurs : unwanted;
    take(entriesOf(real, place, (relative) => !skip.test(relative)));
    if (isOurs(directory)) {
      const { name } = readPackage(real);
      take([{ path: `${home}/node_modules/${name}`, link: `../../${real.slice(repository.length)}` }]);
    }
  }
  take([{ path: `${home}/package.json`, text: '{"type":"module"}\n' }]);
  return withParents([...entries.values()]);
}

/** The Node that runs them: the one that runs this. */
export const nodeEntries = (): Entry[] =>
  withParents([{ path: nodeProgram, from: realpathSync(process.execPath), mode: 0o755 }]);

/** A user without rights, with a home. */
export const userEntries = (): Entry[] =>
  withParents([
    { path: "/home/fuseml", directory: true, uid: 1000 },
    { path: "/project", directory: true, uid: 1000 },
  ]);

function withParents(entries: readonly Entry[]): Entry[] {
  const all = new Map(entries.map((entry) => [entry.path, entry]));
  for (const { path } of entries) {
    for (let at = dirname(path); at !== "/"; at = dirname(at)) {
      if (!all.has(at)) all.set(at, { path: at, directory: true });
    }
  }
  return [...all.values()];
}

/** The programs that are steps: each has a directory with a `main.ts`. */
export const stepPrograms = (): readonly string[] => {
  const root = join(repository, "packages", "steps", "src");
  return readdirSync(root).filter((name) => existsSync(join(root, name, "main.ts")));
};
