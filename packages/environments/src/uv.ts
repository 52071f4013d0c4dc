import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { failure } from "@fuseml/core/errors";
import { runTool, type Say, ToolFailure } from "./command.ts";

/** The version that is fetched when the machine has none. */
const uvVersion = "0.13.8";

/** The first executable of this name on PATH. */
export function onPath(name: string, path = process.env.PATH ?? ""): string | undefined {
  return path
    .split(delimiter)
    .filter(Boolean)
    .map((directory) => join(directory, name))
    .find(existsSync);
}

/** A Python that can run small scripts: 3.11 or newer is asked of the machine. @throws `tool.missing` */
export function hostPython(): string {
  const found = process.env.FUSEML_PYTHON ?? onPath("python3") ?? onPath("python");
  if (!found)
    throw failure("tool.missing", {
      tool: "python3",
      hint: "install Python 3.11 or newer, for example: apt-get install python3",
    });
  return found;
}

/**
 * The uv program: `FUSEML_UV`, or on PATH, or fetched from PyPI once into `directory`.
 * pip is used when the Python has it; a Python without pip and venv (Debian's, bare) gets the wheel unpacked.
 * @throws `tool.missing`
 */
export async function findUv(directory: string, say: Say): Promise<string> {
  const given = process.env.FUSEML_UV ?? onPath("uv");
  if (given) return given;
  const uv = join(directory, `uv-${uvVersion}`, "bin", "uv");
  if (existsSync(uv)) return uv;
  say(`fetching uv ${uvVersion} from PyPI`);
  const python = hostPython();
  const target = join(directory, `uv-${uvVersion}`);
  const partial = `${target}.${process.pid}.tmp`;
  mkdirSync(directory, { recursive: true });
  try {
    await install(python, partial);
    if (!existsSync(target)) renameSync(partial, target);
  } catch (error) {
    const words = error instanceof ToolFailure ? error.output.split("\n").slice(-4).join("\n") : String(error);
    throw failure(
      "tool.missing",
      {
        tool: "uv",
        hint: `it could not be fetched from PyPI: ${words}\n    install it (pipx install uv), or allow access to PyPI`,
      },
      { cause: error },
    );
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return uv;
}

async function install(python: string, target: string): Promise<void> {
  try {
    await runTool(python, [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--no-deps",
      "--disable-pip-version-check",
      "--target",
      target,
      `uv==${uvVersion}`,
    ]);
  } catch (error) {
    if (!(error instanceof ToolFailure)) throw error;
    await unpackWheel(python, target);
  }
  const uv = join(target, "bin", "uv");
  if (!existsSync(uv)) throw new Error(`the wheel holds no ${uv}`);
  chmodSync(uv, 0o755);
}

/** For a Python without pip: the wheel from the package index, its hash checked, unpacked by Python's own zipfile. */
async function unpackWheel(python: string, target: string): Promise<void> {
  const wheel = await findWheel(process.env.PIP_INDEX_URL ?? "https://pypi.org/simple");
  const bytes = Buffer.from(await (await fetch(wheel.url)).arrayBuffer());
  const digest = createHash("sha256").update(bytes).digest("hex");
  if (digest !== wheel.sha256) throw new Error(`${wheel.url} has another SHA-256 than the index says`);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  const file = join(target, "uv.whl");
  writeFileSync(file, bytes);
  await runTool(python, ["-m", "zipfile", "-e", file, target]);
  mkdirSync(join(target, "bin"), { recursive: true });
  renameSync(join(target, `uv-${uvVersion}.data`, "scripts", "uv"), join(target, "bin", "uv"));
  rmSync(file);
}

/** Looks the wheel for this platform up in a package index (the "simple" API, PEP 503). */
async function findWheel(index: string): Promise<{ url: string; sha256: string }> {
  const tags: Readonly<Record<string, string>> = {
    "linux-x64": "manylinux_2_17_x86_64",
    "linux-arm64": "manylinux_2_17_aarch64",
    "darwin-arm64": "macosx_11_0_arm64",
    "darwin-x64": "macosx_10_12_x86_64",
  };
  const page = `${index.replace(/\/+$/, "")}/uv/`;
  const answer = await fetch(page, { headers: { accept: "text/html" } });
  if (!answer.ok) throw new Error(`${page} answered ${answer.status}`);
  const tag = tags[`${process.platform}-${process.arch}`] ?? "none";
  for (const [, href = ""] of (await answer.text()).matchAll(/href="([^"]+\.whl#sha256=[0-9a-f]{64})"/g)) {
    const url = new URL(href.replaceAll("&amp;", "&"), page);
    const name = url.pathname.split("/").at(-1) ?? "";
    if (name.startsWith(`uv-${uvVersion}-`) && name.includes(tag)) {
      const sha256 = url.hash.slice("#sha256=".length);
      url.hash = "";
      return { url: url.href, sha256 };
    }
  }
  throw new Error(`${page} has no uv ${uvVersion} wheel for ${process.platform}-${process.arch}`);
}

/** The environment in which uv runs: what pip was told about indexes and certificates holds for uv, too. */
export function uvEnvironment(base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const taken: NodeJS.ProcessEnv = {
    UV_DEFAULT_INDEX: base.PIP_INDEX_URL,
    UV_INDEX: base.PIP_EXTRA_INDEX_URL,
    UV_FIND_LINKS: base.PIP_FIND_LINKS,
    SSL_CERT_FILE: base.PIP_CERT,
  };
  const missing = Object.entries(taken).filter(([name, value]) => value !== undefined && base[name] === undefined);
  return { ...base, ...Object.fromEntries(missing), UV_NO_PROGRESS: "1", UV_NO_CONFIG: base.UV_NO_CONFIG ?? "1" };
}
