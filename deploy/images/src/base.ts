import { spawn } from "node:child_process";
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failure } from "@fuseml/core/errors";
import { onPath } from "@fuseml/environments/uv";
import { cachedLayer, type Layer, layerOf } from "./layer.ts";

/** What FuseML's base image holds beside Debian's smallest set. */
const packages = ["python3", "ca-certificates", "libatomic1"];
const suite = "bookworm";
/** A base is as old as this at most in its files' times: part of what makes it reproducible. */
const epoch = "0";
/** Words for people, in all languages, are not needed in a container; nor are package lists. */
const left = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"];

/** The layer of FuseML's base image: a small Debian with Python, made from the distribution's packages. */
export function baseLayer(directory: string, say: (line: string) => void): Promise<Layer> {
  return cachedLayer(directory, `base 2 ${suite} ${packages.join(" ")} ${process.arch}`, async () => {
    const program = onPath("mmdebstrap");
    if (!program)
      throw failure("tool.missing", {
        tool: "mmdebstrap",
        hint: "install it (apt-get install mmdebstrap); it makes a base image from Debian's packages",
      });
    say(`making a base image of Debian ${suite} with ${packages.join(", ")} (half a minute)`);
    const scratch = mkdtempSync(join(tmpdir(), "fuseml-base-"));
    try {
      const archive = join(scratch, "base.tar");
      await run(program, [
        "--quiet",
        "--variant=minbase",
        `--include=${packages.join(",")}`,
        ...left.map((path) => `--dpkgopt=path-exclude=${path}`),
        '--customize-hook=rm -rf "$1"/var/log/*.log "$1"/var/log/apt "$1"/var/cache/ldconfig "$1"/var/lib/apt/lists "$1"/etc/machine-id "$1"/usr/share/python3/debpython/__pycache__',
        suite,
        archive,
      ]);
      return await layerOf(createReadStream(archive), directory);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });
}

function run(command: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, SOURCE_DATE_EPOCH: epoch },
    });
    let words = "";
    child.stderr.on("data", (chunk: Buffer) => {
      words = (words + chunk.toString("utf8")).slice(-4000);
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve();
      else reject(failure("tool.failed", { tool: command, output: words.trim().split("\n").slice(-8).join("\n") }));
    });
  });
}
