import { errColours as pc } from "./colours.ts";
import { duration, type Terminal } from "./output.ts";

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/** One line at a time: what is being done and for how long; a line that stays when it is over. Plain lines where there is no terminal. */
export class Progress {
  private readonly at: Terminal;
  private timer: NodeJS.Timeout | undefined;
  private text = "";
  private detail = "";
  private since = 0;
  private frame = 0;

  constructor(at: Terminal) {
    this.at = at;
  }

  start(text: string): void {
    this.clear();
    this.text = text;
    this.detail = "";
    this.since = performance.now();
    if (!this.at.interactive) return this.at.err(`… ${text}\n`);
    this.draw();
    this.timer = setInterval(() => this.draw(), 100);
  }

  /** What is going on within some work, while it is the present one. Only shown on a terminal. */
  note(detail: string, work = this.text): void {
    if (work === this.text) this.detail = detail.trim();
  }

  done(text: string, took = performance.now() - this.since): void {
    this.clear();
    this.at.err(`${pc.green("✓")} ${text} ${pc.dim(`(${duration(took)})`)}\n`);
  }

  fail(text: string): void {
    this.clear();
    this.at.err(`${pc.red("✗")} ${text}\n`);
  }

  say(text: string): void {
    const again = this.timer !== undefined;
    if (again) this.at.err("\r\u001b[2K");
    this.at.err(`${text}\n`);
    if (again) this.draw();
  }

  clear(): void {
    if (!this.timer) return;
    clearInterval(this.timer);
    this.timer = undefined;
    this.at.err("\r\u001b[2K");
  }

  private draw(): void {
    this.frame = (this.frame + 1) % frames.length;
    // cut before it is coloured: colour codes take no room on the screen, and a line that wraps cannot be drawn over
    const room = (process.stderr.columns ?? 80) - 1;
    const head = cut(`${frames[this.frame]} ${this.text}`, room);
    const rest = cut(
      ` ${duration(performance.now() - this.since)}${this.detail ? `  ${this.detail}` : ""}`,
      room - head.length,
    );
    this.at.err(`\r\u001b[2K${head}${pc.dim(rest)}`);
  }
}

const cut = (text: string, room: number): string =>
  text.length > room ? `${text.slice(0, Math.max(0, room - 1))}${room > 0 ? "…" : ""}` : text;
