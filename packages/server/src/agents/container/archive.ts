import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { extract, type Header, type Pack, pack } from "tar-stream";

type Headers = Partial<Header> & { readonly name: string };

export type Owner = {
  readonly uid: number;
  readonly gid: number;
  /** Everybody may write: for a user whose number is not known. */
  readonly open: boolean;
};

/**
 * A tree of files as a tar stream, with directories beside it that everybody may write to, and files that everybody may read.
 * @param places absolute paths
 */
export function packTree(
  directory: string | undefined,
  owner: Owner,
  places: readonly string[],
  contents: Readonly<Record<string, Buffer>> = {},
): Readable {
  const archive = pack();
  const write = async (): Promise<void> => {
    for (const place of places) {
      for (const name of parents(place)) await entry(archive, { name, type: "directory", mode: 0o755 });
      await entry(archive, { name: place.slice(1), type: "directory", mode: 0o777, ...of(owner) });
    }
    for (const [path, bytes] of Object.entries(contents)) {
      for (const name of parents(path)) await entry(archive, { name, type: "directory", mode: 0o755 });
      await entry(archive, { name: path.slice(1), mode: 0o644 }, bytes);
    }
    if (directory !== undefined) await addTree(archive, directory, "", owner);
    archive.finalize();
  };
  write().catch((error: unknown) => archive.destroy(error as Error));
  return Readable.from(archive);
}

/** The directories above an absolute path, without the leading slash. */
function parents(path: string): readonly string[] {
  const parts = path.split("/").filter(Boolean).slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

const of = ({ uid, gid }: Owner): Pick<Header, "uid" | "gid"> => ({ uid, gid });

async function addTree(archive: Pack, root: string, relative: string, owner: Owner): Promise<void> {
  for (const { name } of readdirSync(join(root, relative), { withFileTypes: true })) {
    const path = relative === "" ? name : `${relative}/${name}`;
    const at = join(root, path);
    const stat = lstatSync(at);
    const common = { name: path, mtime: stat.mtime, ...of(owner) };
    const wide = owner.open ? 0o666 : 0;
    if (stat.isDirectory()) {
      await entry(archive, { ...common, type: "directory", mode: (stat.mode & 0o7777) | (owner.open ? 0o777 : 0) });
      await addTree(archive, root, path, owner);
    } else if (stat.isSymbolicLink()) {
      await entry(archive, { ...common, type: "symlink", linkname: readlinkSync(at) });
    } else if (stat.isFile()) {
      await entry(archive, { ...common, mode: (stat.mode & 0o7777) | wide }, readFileSync(at));
    }
  }
}

const entry = (archive: Pack, headers: Headers, contents?: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    const done = (error?: Error | null) => (error ? reject(error) : resolve());
    if (contents) archive.entry(headers, contents, done);
    else archive.entry(headers, done);
  });

/** The files of a tar stream, by the last part of their names; of those larger than the limit only the size. */
export async function readFiles(
  stream: NodeJS.ReadableStream,
  limitBytes: number,
): Promise<ReadonlyMap<string, { size: number; text?: string }>> {
  const found = new Map<string, { size: number; text?: string }>();
  const reader = extract();
  stream.pipe(reader);
  for await (const file of reader) {
    const { name, size = 0, type } = file.header;
    const chunks: Buffer[] = [];
    for await (const chunk of file) if (size <= limitBytes) chunks.push(chunk as Buffer);
    if (type !== "file") continue;
    const text = size <= limitBytes ? { text: Buffer.concat(chunks).toString("utf8") } : {};
    found.set(name.split("/").at(-1) ?? name, { size, ...text });
  }
  return found;
}
