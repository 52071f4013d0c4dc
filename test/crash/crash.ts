/** Kills a real server again and again while runs go on, and counts what was lost, done twice, or adopted. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "@fuseml/server/platform/processes/ports";
import { Random } from "@fuseml/server/runs/simulation/random";
import { isAlive, shellWorkflow, until } from "../support/fuseml.ts";
import { ServerProcess } from "../support/server.ts";

const run = promisify(execFile);

export type CrashReport = {
  /** Runs that were acknowledged and are not there or did not come to their end, and commits whose run is missing. */
  readonly lost: readonly string[];
  /** Steps that ran more than once, and commits that started more than one run. */
  readonly doubled: readonly string[];
  /** Step processes that lived through a kill and were not started again. */
  readonly adopted: number;
  readonly runs: number;
  readonly steps: number;
};

type Options = {
  readonly kills: number;
  readonly seed: number;
  /** Runs at the same time. */
  readonly width?: number;
  readonly say?: (line: string) => void;
};

const begunBy = (line: string): { key: string; pid: number } | undefined => {
  const match = /^(run_\w+ \S+) start (\d+)$/.exec(line);
  return match?.[1] ? { key: match[1], pid: Number(match[2]) } : undefined;
};

/** One round: kills and restarts, then peace until everything is over, then the count. */
export async function crash(options: Options): Promise<CrashReport> {
  const round = new CrashRound(options);
  try {
    await round.prepare();
    await round.kill();
    return await round.count();
  } finally {
    await round.dispose();
  }
}

class CrashRound {
  private readonly home = mkdtempSync(join(tmpdir(), "fuseml-crash-"));
  private readonly random: Random;
  private readonly options: Options;
  private readonly acknowledged = new Set<string>();
  private readonly adopted = new Set<string>();
  private readonly commits: string[] = [];
  private server: ServerProcess | undefined;

  constructor(options: Options) {
    this.options = options;
    this.random = new Random(options.seed);
  }

  private get up(): ServerProcess {
    if (!this.server) throw new Error("not prepared");
    return this.server;
  }

  private get journal(): string {
    return join(this.home, "journal");
  }

  private script(): string {
    const seconds = (this.random.below(200) / 100).toFixed(2);
    const note = (what: string) => `echo "$FUSEML_RUN_ID $FUSEML_STEP_NAME ${what}" >> "${this.journal}"`;
    return `${note("start $$")}; sleep ${seconds}; ${note("end")}`;
  }

  async prepare(): Promise<void> {
    mkdirSync(join(this.home, "data"));
    writeFileSync(
      join(this.home, "data", "host-recipes.yaml"),
      'recipes: [{image: "test/shell:*", command: [sh, -c, \'eval "$SCRIPT"\']}]\n',
    );
    this.server = new ServerProcess(this.home, await freePort(), { FUSEML_HOST_PARALLELISM: "60" });
    await this.up.start();
    const { client } = this.up;
    for (let n = 0; n < 10; n += 1) {
      const steps = Object.fromEntries(Array.from({ length: 3 + (n % 4) }, (_, at) => [`s${at}`, this.script()]));
      const text = shellWorkflow(`w${n}`, steps);
      // half of them as graphs: steps side by side
      await client.call("POST /workflows", { body: n % 2 === 0 ? text : `order: dataflow\n${text}` });
    }
    await client.call("POST /workflows", {
      body: shellWorkflow("watch", { a: this.script(), b: this.script() }, { codeset: true }),
    });
    await client.call("POST /projects", { query: { name: "p" } });
    await client.call("POST /codesets", { query: { project: "p", name: "c" } });
    await this.git("clone", "--quiet", `${this.up.url}/git/p/c.git`, join(this.home, "copy"));
    await this.push();
    await client.call("POST /workflows/assignments", {
      query: { name: "watch", codesetProject: "p", codesetName: "c" },
      body: {},
    });
  }

  private async git(...args: string[]): Promise<string> {
    const identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost"];
    const env = { ...process.env, HOME: this.home, GIT_TERMINAL_PROMPT: "0" };
    return (await run("git", [...identity, ...args], { env })).stdout.trim();
  }

  /** A commit; from the moment that the push is acknowledged it has a run, once. */
  private async push(): Promise<void> {
    const copy = join(this.home, "copy");
    writeFileSync(join(copy, "n.txt"), String(this.commits.length));
    await this.git("-C", copy, "add", ".");
    await this.git("-C", copy, "commit", "--quiet", "--allow-empty", "-m", `commit ${this.commits.length}`);
    const commit = await this.git("-C", copy, "rev-parse", "HEAD");
    try {
      await this.git("-C", copy, "push", "--quiet", "origin", "HEAD:main");
      this.commits.push(commit);
    } catch {
      // the server went down meanwhile: the next push takes the commit along
    }
  }

  async kill(): Promise<void> {
    const { kills, say = () => undefined } = this.options;
    for (let killed = 0; killed < kills; killed += 1) {
      const busy = this.keepBusy();
      await pause(this.random.below(300));
      const alive = this.living();
      await this.up.kill();
      for (const key of alive.filter(({ pid }) => isAlive(pid)).map(({ key }) => key)) this.adopted.add(key);
      await busy;
      await this.up.start();
      if ((killed + 1) % 50 === 0) say(`${killed + 1} of ${kills} kills, ${this.acknowledged.size} runs`);
    }
  }

  /** Starts runs until there are as many as are to go on at a time; whatever fails because the server dies is not counted. */
  private async keepBusy(): Promise<void> {
    const { client } = this.up;
    const { width = 50 } = this.options;
    try {
      const active = await client.call("GET /workflows/runs", { query: { status: "Running", limit: "200" } });
      const missing = Math.min(20, width - active.length);
      await Promise.all([
        ...Array.from({ length: Math.max(0, missing) }, async () => {
          const name = `w${this.random.below(10)}`;
          const made = await client.call("POST /workflows/{name}/runs", { params: { name }, body: {} });
          this.acknowledged.add(made.name);
        }),
        ...(this.random.chance(0.2) ? [this.push()] : []),
      ]);
    } catch {
      // the server was killed: nothing was acknowledged
    }
  }

  private lines(): readonly string[] {
    return existsSync(this.journal) ? readFileSync(this.journal, "utf8").trim().split("\n") : [];
  }

  /** Steps that have begun and not ended. */
  private living(): readonly { key: string; pid: number }[] {
    const open = new Map<string, number>();
    for (const line of this.lines()) {
      const begun = begunBy(line);
      if (begun) open.set(begun.key, begun.pid);
      else open.delete(line.replace(/ end$/, ""));
    }
    return [...open].map(([key, pid]) => ({ key, pid }));
  }

  async count(): Promise<CrashReport> {
    const { client } = this.up;
    const open = async () => {
      const of = (status: string) => client.call("GET /workflows/runs", { query: { status, limit: "1000" } });
      return [...(await of("Pending")), ...(await of("Running"))];
    };
    await until("all runs are over", async () => (await open()).length === 0, 120_000);
    const begun = new Map<string, number>();
    for (const line of this.lines()) {
      const found = begunBy(line);
      if (found) begun.set(found.key, (begun.get(found.key) ?? 0) + 1);
    }
    const lost: string[] = [];
    for (const id of this.acknowledged) {
      const found = await client.call("GET /runs/{id}", { params: { id } }).catch(() => undefined);
      const failed = found?.steps.find((step) => step.status !== "Succeeded" || !begun.has(`${id} ${step.name}`));
      if (!found) lost.push(`${id} is not there`);
      else if (found.status !== "Succeeded" || failed) lost.push(`${id} is ${found.status} (${failed?.name ?? ""})`);
    }
    const doubled = [...begun].filter(([, times]) => times > 1).map(([key, times]) => `${key} began ${times} times`);
    const watched = await client.call("GET /workflows/runs", { query: { name: "watch", limit: "1000" } });
    for (const commit of new Set(this.commits)) {
      const runs = watched.filter((of) => of.inputs.some(({ value }) => value.endsWith(`:${commit}`)));
      if (runs.length === 0) lost.push(`commit ${commit} has no run`);
      if (runs.length > 1) doubled.push(`commit ${commit} has ${runs.length} runs`);
    }
    const adopted = [...this.adopted].filter((key) => begun.get(key) === 1).length;
    return { lost, doubled, adopted, runs: this.acknowledged.size + watched.length, steps: begun.size };
  }

  async dispose(): Promise<void> {
    await this.up.kill("SIGTERM");
    rmSync(this.home, { recursive: true, force: true });
  }
}
