import { spawn } from "node:child_process";

/** How a command ended badly: its own words are in `output`. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly exitCode: number | null;
  readonly output: string;
  constructor(command: string, exitCode: number | null, output: string) {
    super(
      `${command} ended with ${exitCode === null ? "a signal" : `exit code ${exitCode}`}: ${output.trim().split("\n").slice(-3).join(" / ")}`,
    );
    this.exitCode = exitCode;
    this.output = output;
  }
}

/** Runs a command to its end and gives its standard output. @throws CommandFailure; ENOENT as the system's own error */
export async function execute(
  command: string,
  args: readonly string[],
  options: {
    cwd?: string;
    env?: Record<string, string | undefined>;
    input?: string;
    onLine?: (line: string) => void;
    signal?: AbortSignal;
  } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
      ...(options.signal ? { signal: options.signal } : {}),
    });
    const out: Buffer[] = [];
    const all: Buffer[] = [];
    const take = (keep: Buffer[] | undefined) => (chunk: Buffer) => {
      keep?.push(chunk);
      all.push(chunk);
      if (options.onLine) for (const line of chunk.toString("utf8").split("\n")) if (line.trim()) options.onLine(line);
    };
    child.stdout.on("data", take(out));
    child.stderr.on("data", take(undefined));
    child.on("error", reject);
    // a command that ends without reading its input is judged by its exit code
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");
    child.on("close", (code) => {
      if (code === 0) resolve(Buffer.concat(out).toString("utf8"));
      else
        reject(new CommandFailure([command, ...args].slice(0, 4).join(" "), code, Buffer.concat(all).toString("utf8")));
    });
  });
}
