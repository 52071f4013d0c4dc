import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { failure } from "@fuseml/core/errors";
import { writeAtomically } from "./platform/files/atomic.ts";
import { identify, isAlive, type ProcessIdentity } from "./platform/processes/identity.ts";

/** What a running server says of itself in its data directory; the CLI reads it. */
export type ServerRecord = ProcessIdentity & { readonly url: string };

/** The places inside the data directory. */
export const layout = (root: string) => ({
  root,
  database: join(root, "fuseml.db"),
  record: join(root, "server.json"),
  key: join(root, "secret.key"),
  adminToken: join(root, "admin.token"),
  recipes: join(root, "host-recipes.yaml"),
  images: join(root, "images.yaml"),
  registry: join(root, "registry"),
  repositories: join(root, "git"),
  segments: join(root, "segments"),
  containerSegments: join(root, "container-segments"),
  environments: join(root, "environments"),
  tools: join(root, "tools"),
  processes: join(root, "processes"),
  models: join(root, "models"),
  extensions: join(root, "extensions"),
});

/**
 * Takes the data directory for this process. One server at a time, unless they share a database that keeps them apart.
 * @throws `server.data-directory-in-use`
 */
export function claimDataDirectory(
  root: string,
  shared = false,
): {
  announce(url: string): void;
  release(): void;
} {
  const { record } = layout(root);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  if (!shared && existsSync(record)) {
    const other = JSON.parse(readFileSync(record, "utf8")) as ServerRecord;
    if (other.pid !== process.pid && isAlive(other))
      throw failure("server.data-directory-in-use", { directory: root, pid: other.pid });
  }
  const self = identify(process.pid);
  const write = (url: string) => writeAtomically(record, JSON.stringify({ ...self, url }), 0o600);
  const release = () => {
    // of several servers the last one that was started stands here
    const present = existsSync(record) ? (JSON.parse(readFileSync(record, "utf8")) as ServerRecord) : undefined;
    if (present?.pid === process.pid) rmSync(record, { force: true });
  };
  write("");
  return { announce: write, release };
}
