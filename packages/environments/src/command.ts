import { spawn } from "node:child_process";

/** How a tool ended badly. `output` is all that it said, so that its own words can be shown. */
export class ToolFailure extends Error {
  override readonly name = "ToolFailure";
  readonly output: string;
  readonly exitCode: number | null;
  constructor(what: string, exitCode: number | null, output: string) {
    super(`${what} failed`);
    this.exitCode = exitCode;
    this.output = output.trim();
  }
}

export type Say = (line: string) => void;

/** Runs a tool to its end; its lines go to `say` as they come. @throws ToolFailure; ENOENT as the system's own error */
export async function runTool(
  command: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; say?: Say } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      env: options.env ?? process.env,
      stdio: ["ignore", "pipe", "pipe"],
      ...(options.cwd ? { cwd: options.cwd } : {}),
    });
    let out = "";
    let all = "";
    const take = (isOut: boolean) => (chunk: Buffer) => {
      const text = chunk.toString("utf8");
      if (isOut) out += text;
      all += text;
      if (options.say) for (const line of text.split(/\r?\n/)) if (line.trim()) options.say(line);
    };
    child.stdout.on("data", take(true));
    child.stderr.on("data", take(false));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(out);
      else reject(new ToolFailure(`${command} ${args.slice(0, 3).join(" ")}`, code, all));
    });
  });
}
