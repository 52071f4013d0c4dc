import { closeSync, existsSync, fstatSync, openSync, readSync, rmSync, writeSync } from "node:fs";

const pumpEveryMs = 150;
const chunkBytes = 64 * 1024;

/**
 * Copies what a process prints (`raw`, readable by the owner only) to the step's log with the secrets masked, whole lines
 * at a time. After a crash it starts again from the beginning: the same lines give the same log.
 */
export class LogPump {
  private readonly raw: string;
  private readonly log: string;
  private readonly mask: (text: string) => string;
  private position = 0;
  private rest = "";
  private decoder = new TextDecoder();
  private timer: NodeJS.Timeout | undefined;
  private out: number | undefined;
  private full = false;

  constructor(raw: string, log: string, mask: (text: string) => string) {
    this.raw = raw;
    this.log = log;
    this.mask = mask;
    // what a former server copied is copied again; without a raw log there is nothing to copy, and the log stays
    if (existsSync(raw)) rmSync(log, { force: true });
  }

  /**
   * @param failed told when the log cannot be written for now, as on a full disk: the raw log keeps the lines
   * @param tooLong told when more than `limitBytes` were printed; no more is copied then
   */
  start(failed: (error: unknown) => void, limitBytes: number, tooLong: () => void): void {
    this.timer = setInterval(() => {
      try {
        this.pump();
        if (this.position > limitBytes) {
          clearInterval(this.timer);
          this.full = true;
          tooLong();
        }
      } catch (error) {
        failed(error);
      }
    }, pumpEveryMs);
    this.timer.unref();
  }

  /** Takes the last lines, and removes the raw log. */
  finish(): void {
    clearInterval(this.timer);
    this.pump();
    if (this.rest) this.write(this.rest);
    this.rest = "";
    if (this.out !== undefined) closeSync(this.out);
    rmSync(this.raw, { force: true });
  }

  private pump(): void {
    if (this.full || !existsSync(this.raw)) return;
    const file = openSync(this.raw, "r");
    try {
      const { size } = fstatSync(file);
      const buffer = Buffer.alloc(chunkBytes);
      while (this.position < size) {
        const count = readSync(file, buffer, 0, chunkBytes, this.position);
        if (count === 0) break;
        const text = this.rest + this.decoder.decode(buffer.subarray(0, count), { stream: true });
        const end = text.lastIndexOf("\n") + 1;
        this.position += count;
        this.rest = text;
        if (end > 0) this.write(text.slice(0, end));
        this.rest = text.slice(end);
      }
    } finally {
      closeSync(file);
    }
  }

  private write(text: string): void {
    // a step that prints nothing has no log file
    this.out ??= openSync(this.log, "a", 0o600);
    writeSync(this.out, this.mask(text));
  }
}

/** The last lines of a log file. */
export function tailOf(log: string, lines = 20): string {
  if (!existsSync(log)) return "";
  const file = openSync(log, "r");
  try {
    const { size } = fstatSync(file);
    const length = Math.min(size, 16 * 1024);
    const buffer = Buffer.alloc(length);
    readSync(file, buffer, 0, length, size - length);
    return buffer.toString("utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } finally {
    closeSync(file);
  }
}
