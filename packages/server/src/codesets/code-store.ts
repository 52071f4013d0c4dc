/** Where code is: one repository for each codeset. The control plane asks about commits; contents go to the workloads. */
export interface CodeStore {
  /** Makes the repository, with a first commit on the default branch so that any client can clone it. Repeating it changes nothing. */
  create(project: string, name: string): Promise<void>;
  remove(project: string, name: string): Promise<void>;
  /** The commit of a branch, tag, (short) commit, or of the default branch. */
  resolve(project: string, name: string, ref?: string): Promise<string | undefined>;
  /** All commits, oldest first; at most the newest `limit`. The first commit of `create` is left out. */
  commits(
    project: string,
    name: string,
    limit: number,
  ): Promise<readonly { commit: string; subject: string; author: string; committed: string }[]>;
  /** Paths that differ between two commits. */
  changedPaths(project: string, name: string, from: string, to: string): Promise<readonly string[]>;
  /** The digest of a commit's tree: commits of equal contents share it. Nothing when there is no such commit. */
  treeOf(project: string, name: string, commit: string): Promise<string | undefined>;
  /** Puts a working copy of a commit into an empty or missing directory. */
  checkout(project: string, name: string, commit: string, directory: string): Promise<void>;
}
