/** A PostgreSQL of the distribution for tests: a cluster of its own in a temporary directory, reached by a socket. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

const root = "/usr/lib/postgresql";

/** Where the newest installed PostgreSQL has its programs, or nothing when none is installed. */
function programs(): string | undefined {
  const versions = existsSync(root)
    ? readdirSync(root).filter((name) => existsSync(join(root, name, "bin", "initdb")))
    : [];
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  return newest && join(root, newest, "bin");
}

/** Why tests with PostgreSQL cannot run here, or false when they can. */
export const withoutPostgres: string | false = programs()
  ? false
  : "PostgreSQL is not installed: apt-get install postgresql";

export class Postgres {
  private readonly directory: string;
  private readonly bin: string;
  private readonly port: number | undefined;

  private constructor(directory: string, bin: string, port: number | undefined) {
    this.directory = directory;
    this.bin = bin;
    this.port = port;
  }

  /** @param port where it listens on the loopback address, too, for those who know no sockets */
  static start(port?: number): Postgres {
    const bin = programs();
    if (!bin) throw new Error(String(withoutPostgres));
    const directory = mkdtempSync(join(tmpdir(), "fuseml-pg-"));
    const postgres = new Postgres(directory, bin, port);
    // the server does not run as root
    if (userInfo().uid === 0) execFileSync("chown", ["postgres", directory]);
    chmodSync(directory, 0o755);
    postgres.as("initdb", "--pgdata", postgres.data, "--username", "postgres", "--auth", "trust", "--no-sync");
    postgres.up();
    return postgres;
  }

  private get data(): string {
    return join(this.directory, "data");
  }

  /** A new, empty database. @returns its URL */
  database(name: string): string {
    const at = this.port === undefined ? [] : ["--port", String(this.port)];
    this.as("createdb", "--host", this.directory, ...at, "--username", "postgres", name);
    if (this.port !== undefined) return `postgresql://postgres@127.0.0.1:${this.port}/${name}`;
    return `postgres:///${name}?host=${encodeURIComponent(this.directory)}&user=postgres`;
  }

  up(): void {
    const listen =
      this.port === undefined ? "-c listen_addresses=''" : `-c listen_addresses=127.0.0.1 -c port=${this.port}`;
    const options = `${listen} -c unix_socket_directories='${this.directory}' -c max_connections=200`;
    this.as("pg_ctl", "--pgdata", this.data, "--log", join(this.directory, "log"), "--wait", "-o", options, "start");
  }

  /** @param mode `immediate` is as a crash */
  down(mode: "fast" | "immediate" = "fast"): void {
    this.as("pg_ctl", "--pgdata", this.data, "--wait", "--mode", mode, "stop");
  }

  dispose(): void {
    this.down("immediate");
    rmSync(this.directory, { recursive: true, force: true });
  }

  private as(program: string, ...args: string[]): void {
    const command = [join(this.bin, program), ...args];
    const full = userInfo().uid === 0 ? ["runuser", "-u", "postgres", "--", ...command] : command;
    const { status, stderr } = spawnSync(full[0] ?? "", full.slice(1), {
      cwd: this.directory,
      encoding: "utf8",
      // the server keeps what it inherits open
      stdio: ["ignore", "ignore", program === "pg_ctl" ? "ignore" : "pipe"],
    });
    if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`);
  }
}
