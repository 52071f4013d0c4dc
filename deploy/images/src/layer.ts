import { createHash, type Hash } from "node:crypto";
import {
  createReadStream,
  createWriteStream,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type Header, pack } from "tar-stream";

/** A layer of an image, compressed, in a file. */
export type Layer = {
  /** Of the compressed file: `sha256:…`. */
  readonly digest: string;
  /** Of the archive in it. */
  readonly diffId: string;
  readonly size: number;
  readonly file: string;
};

/** A file or directory that goes into a layer. `path` is absolute, as the image has it. */
export type Entry = {
  readonly path: string;
  readonly mode?: number;
  readonly uid?: number;
} & (
  | { readonly from: string }
  | { readonly link: string }
  | { readonly directory: true }
  | { readonly text: string; readonly encoding?: BufferEncoding }
);

/** Files have no time of their own: the same contents are the same layer. */
const noTime = new Date(0);

const digestTap = (hash: Hash, count: (bytes: number) => void): Transform =>
  new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      count(chunk.length);
      done(null, chunk);
    },
  });

/** Compresses a tar archive into `directory`, under the name of its digest. */
export async function layerOf(archive: Readable, directory: string): Promise<Layer> {
  mkdirSync(directory, { recursive: true });
  const partial = join(directory, `.${process.pid}.${Math.trunc(performance.now())}.partial`);
  const [plain, compressed] = [createHash("sha256"), createHash("sha256")];
  let size = 0;
  await pipeline(
    archive,
    digestTap(plain, () => undefined),
    // the level is part of the digest
    createGzip({ level: 6 }),
    digestTap(compressed, (bytes) => {
      size += bytes;
    }),
    createWriteStream(partial),
  );
  const digest = `sha256:${compressed.digest("hex")}`;
  const file = join(directory, `${digest.slice("sha256:".length)}.tar.gz`);
  renameSync(partial, file);
  return { digest, diffId: `sha256:${plain.digest("hex")}`, size, file };
}

/** A layer of these entries, in the order of their paths. The same entries with the same contents give the same digest. */
export async function packLayer(entries: readonly Entry[], directory: string): Promise<Layer> {
  const archive = pack();
  const write = async (): Promise<void> => {
    const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
    for (const entry of sorted) await add(archive, entry);
    archive.finalize();
  };
  const writing = write().catch((error: unknown) => archive.destroy(error as Error));
  const layer = await layerOf(archive as unknown as Readable, directory);
  await writing;
  return layer;
}

function add(archive: ReturnType<typeof pack>, entry: Entry): Promise<void> {
  const { path, uid = 0 } = entry;
  const common = { name: path.replace(/^\//, ""), mtime: noTime, uid, gid: uid };
  const put = (header: Partial<Header> & { name: string }, contents?: Buffer | string): Promise<void> =>
    new Promise((resolve, reject) => {
      const done = (error?: Error | null) => (error ? reject(error) : resolve());
      if (contents === undefined) archive.entry(header, done);
      else archive.entry(header, contents as string, done);
    });
  if ("directory" in entry) return put({ ...common, type: "directory", mode: entry.mode ?? 0o755 });
  if ("link" in entry) return put({ ...common, type: "symlink", linkname: entry.link });
  if ("text" in entry) return put({ ...common, mode: entry.mode ?? 0o644 }, Buffer.from(entry.text, entry.encoding));
  return put({ ...common, mode: entry.mode ?? 0o644 }, readFileSync(entry.from));
}

/** The entries of a directory tree. @param wanted says of a path below it whether it goes along */
export function entriesOf(from: string, path: string, wanted: (relative: string) => boolean = () => true): Entry[] {
  const entries: Entry[] = [{ path, directory: true }];
  const walk = (relative: string): void => {
    for (const name of readdirSync(join(from, relative))) {
      const below = relative === "" ? name : `${relative}/${name}`;
      if (!wanted(below)) continue;
      const at = join(from, below);
      const stat = lstatSync(at);
      if (stat.isDirectory()) {
        entries.push({ path: `${path}/${below}`, directory: true });
        walk(below);
      } else if (stat.isSymbolicLink()) entries.push({ path: `${path}/${below}`, link: readlinkSync(at) });
      else if (stat.isFile())
        entries.push({ path: `${path}/${below}`, from: at, mode: stat.mode & 0o111 ? 0o755 : 0o644 });
    }
  };
  walk("");
  return entries;
}

/** A layer that was made before for the same reason, or made now. @param key says what it is made of */
export async function cachedLayer(directory: string, key: string, make: () => Promise<Layer>): Promise<Layer> {
  const name = createHash("sha256").update(key).digest("hex").slice(0, 16);
  const note = join(directory, `${name}.json`);
  if (existsSync(note)) {
    const known = JSON.parse(readFileSync(note, "utf8")) as Layer;
    if (existsSync(known.file)) return known;
  }
  const layer = await make();
  writeFileSync(`${note}.tmp`, JSON.stringify(layer));
  renameSync(`${note}.tmp`, note);
  return layer;
}

export const readLayer = (layer: Layer): Readable => createReadStream(layer.file);
