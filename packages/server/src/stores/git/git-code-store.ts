import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { CodeStore } from "../../codesets/code-store.ts";
import { CommandFailure, execute } from "../../platform/processes/execute.ts";

export const defaultBranch = "main";
/** The trailer by which the first commit that we make is known. */
const firstCommit = "FuseML: an empty codeset";

/** Git must not read what the user or the machine has configured, nor ask for anything. */
export const gitEnvironment = {
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_TERMINAL_PROMPT: "0",
  GIT_AUTHOR_NAME: "FuseML",
  GIT_AUTHOR_EMAIL: "fuseml@localhost",
  GIT_COMMITTER_NAME: "FuseML",
  GIT_COMMITTER_EMAIL: "fuseml@localhost",
};

const git = (args: readonly string[], cwd?: string): Promise<string> =>
  execute("git", args, { ...(cwd ? { cwd } : {}), env: gitEnvironment });

/** Code in bare git repositories in one directory: `<root>/<project>/<name>.git`. */
export class GitCodeStore implements CodeStore {
  private readonly root: string;

  constructor(root: string) {
    this.root = root;
    mkdirSync(root, { recursive: true });
  }

  directoryOf(project: string, name: string): string {
    return join(this.root, project, `${name}.git`);
  }

  async create(project: string, name: string): Promise<void> {
    const directory = this.directoryOf(project, name);
    if (existsSync(directory)) return;
    mkdirSync(join(this.root, project), { recursive: true });
    const partial = `${directory}.${process.pid}.tmp`;
    rmSync(partial, { recursive: true, force: true });
    try {
      await git(["init", "--quiet", "--bare", `--initial-branch=${defaultBranch}`, partial]);
      await git(["config", "http.receivepack", "true"], partial);
      await git(["config", "receive.fsckObjects", "true"], partial);
      const tree = (await git(["hash-object", "-t", "tree", "-w", "/dev/null"], partial)).trim();
      const commit = (await git(["commit-tree", tree, "-m", firstCommit], partial)).trim();
      await git(["update-ref", `refs/heads/${defaultBranch}`, commit], partial);
      renameSync(partial, directory);
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
  }

  async remove(project: string, name: string): Promise<void> {
    rmSync(this.directoryOf(project, name), { recursive: true, force: true });
  }

  resolve(project: string, name: string, ref = `refs/heads/${defaultBranch}`): Promise<string | undefined> {
    return this.parse(project, name, ref, "commit");
  }

  treeOf(project: string, name: string, commit: string): Promise<string | undefined> {
    return this.parse(project, name, commit, "tree");
  }

  private async parse(
    project: string,
    name: string,
    ref: string,
    type: "commit" | "tree",
  ): Promise<string | undefined> {
    if (ref.startsWith("-") || ref.includes("..")) return undefined;
    try {
      return (
        await git(["rev-parse", "--verify", "--quiet", `${ref}^{${type}}`], this.directoryOf(project, name))
      ).trim();
    } catch (error) {
      if (error instanceof CommandFailure) return undefined;
      throw error;
    }
  }

  async commits(project: string, name: string, limit: number) {
    const format = ["%H", "%s", "%an <%ae>", "%cI"].join("%x00");
    const out = await git(
      ["log", "--all", "--topo-order", `--max-count=${limit}`, `--format=${format}`],
      this.directoryOf(project, name),
    );
    return out
      .split("\n")
      .filter(Boolean)
      .map((line) => {
        const [commit = "", subject = "", author = "", committed = ""] = line.split("\0");
        return { commit, subject, author, committed };
      })
      .filter(({ subject }) => subject !== firstCommit)
      .reverse();
  }

  async changedPaths(project: string, name: string, from: string, to: string): Promise<readonly string[]> {
    const out = await git(["diff", "--name-only", "-z", "--no-renames", from, to], this.directoryOf(project, name));
    return out.split("\0").filter(Boolean);
  }

  async checkout(project: string, name: string, commit: string, directory: string): Promise<void> {
    await git(["clone", "--quiet", "--shared", "--no-checkout", this.directoryOf(project, name), directory]);
    await git(["checkout", "--quiet", "--detach", commit], directory);
  }
}
