import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { failure } from "@fuseml/core/errors";

const run = promisify(execFile);

/** Name and password for git, when the server asks for them. */
export type GitUser = { readonly username: string; readonly password: string };

/**
 * Publishes a directory or a git URL as the next commit of a codeset: its files take the place of all that were there.
 * What git ignores in the directory is left out.
 * @returns the commit, and whether it is new
 */
export async function pushSnapshot(
  location: string,
  url: string,
  user: GitUser | undefined,
  message: string,
): Promise<{ commit: string; isNew: boolean }> {
  const scratch = mkdtempSync(join(tmpdir(), "fuseml-push-"));
  try {
    const source = isDirectory(location) ? location : await cloneSource(location, join(scratch, "source"));
    const copy = join(scratch, "codeset");
    const git = gitWith(user);
    await git(["clone", "--quiet", url, copy]);
    await git(["checkout", "--quiet", "-B", "main"], copy);
    for (const name of readdirSync(copy))
      if (name !== ".git") rmSync(join(copy, name), { recursive: true, force: true });
    for (const file of await filesOf(source))
      cpSync(join(source, file), join(copy, file), { recursive: true, verbatimSymlinks: true });
    await git(["add", "--all", "--force"], copy);
    const isNew = (await git(["status", "--porcelain"], copy)) !== "";
    if (isNew) {
      await git([...(await identity(copy)), "commit", "--quiet", "--message", message], copy);
      await git(["push", "--quiet", "origin", "main"], copy);
    }
    return { commit: (await git(["rev-parse", "HEAD"], copy)).trim(), isNew };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const isDirectory = (location: string): boolean => existsSync(location) && statSync(location).isDirectory();

async function cloneSource(location: string, into: string): Promise<string> {
  if (!/^([a-z+]+:\/\/|[^/\s]+@[^/\s]+:)/.test(location)) {
    throw failure("request.invalid", { message: `"${location}" is neither a directory nor a git URL` });
  }
  await gitWith(undefined)(["clone", "--quiet", "--depth=1", location, into]);
  return into;
}

/** What a commit of the directory would hold. A directory outside git is taken whole. */
async function filesOf(directory: string): Promise<string[]> {
  try {
    const { stdout } = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
      cwd: directory,
      maxBuffer: 1 << 28,
    });
    const files = stdout.split("\0").filter((file) => file && existsSync(join(directory, file)));
    if (files.length > 0) return files;
  } catch {
    // not in a git work tree
  }
  return readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((file) => {
    const parts = file.split("/");
    return (
      !parts.includes(".git") &&
      !parts.includes(".fuseml") &&
      !statSync(join(directory, file)).isDirectory() &&
      dirname(file) !== ".git"
    );
  });
}

/** The user's own git identity, or FuseML's when git has none. */
async function identity(directory: string): Promise<string[]> {
  try {
    await run("git", ["config", "user.email"], { cwd: directory });
    return [];
  } catch {
    // git config answers with status 1 when nothing is set
    return ["-c", "user.name=FuseML", "-c", "user.email=fuseml@localhost"];
  }
}

/** Git with credentials in its environment: never in its arguments, nor in a file. */
function gitWith(user: GitUser | undefined): (args: string[], cwd?: string) => Promise<string> {
  const header = user
    ? `Authorization: Basic ${Buffer.from(`${user.username}:${user.password}`).toString("base64")}`
    : "";
  const env = {
    ...process.env,
    GIT_TERMINAL_PROMPT: "0",
    ...(user ? { GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "http.extraHeader", GIT_CONFIG_VALUE_0: header } : {}),
  };
  return async (args, cwd) => {
    try {
      const { stdout } = await run("git", args, { env, maxBuffer: 1 << 28, ...(cwd ? { cwd } : {}) });
      return stdout;
    } catch (error) {
      const { code, stderr, message } = error as NodeJS.ErrnoException & { stderr?: string };
      if (code === "ENOENT")
        throw failure(
          "tool.missing",
          { tool: "git", hint: "install git, for example: apt-get install git" },
          { cause: error },
        );
      throw failure("codeset.push-failed", { reason: (stderr || message).trim() }, { cause: error });
    }
  };
}
