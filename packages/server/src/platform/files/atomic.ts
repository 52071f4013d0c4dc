import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { failure } from "@fuseml/core/errors";

/**
 * Writes a file so that a reader sees the old contents or the new, never a part; it is on the disk on return.
 * @param sync false where surviving a crash of the process is enough, as for what the database knows, too
 * @throws `disk.full`
 */
export function writeAtomically(path: string, contents: string | Uint8Array, mode = 0o644, { sync = true } = {}): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = openOrMakeRoom(temporary, mode);
    try {
      writeSync(file, typeof contents === "string" ? Buffer.from(contents) : contents);
      if (sync) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw asDiskFull(error, path);
  }
}

function openOrMakeRoom(path: string, mode: number): number {
  try {
    return openSync(path, "w", mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    mkdirSync(dirname(path), { recursive: true });
    return openSync(path, "w", mode);
  }
}

/** The error as `disk.full` when that is what it is, or unchanged. */
export function asDiskFull(error: unknown, where: string): unknown {
  const code = (error as { code?: unknown; errcode?: unknown } | null)?.code;
  const sqliteFull = (error as { errcode?: unknown } | null)?.errcode === 13;
  return code === "ENOSPC" || code === "EDQUOT" || sqliteFull
    ? failure("disk.full", { where }, { cause: error })
    : error;
}
