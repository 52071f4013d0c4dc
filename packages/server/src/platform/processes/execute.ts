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
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const out: Buffer[] = [];
    const all: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => {
      out.push(chunk);
      all.push(chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => all.push(chunk));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(Buffer.concat(out).toString("utf8"));
      else
        reject(new CommandFailure([command, ...args].slice(0, 4).join(" "), code, Buffer.concat(all).toString("utf8")));
    });
  });
}
