/** A server killed around every single write of a three-step run: wherever it was, the run comes to the same end. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { freePort } from "@fuseml/server/platform/processes/ports";
import { shellWorkflow, until } from "./support/fuseml.ts";
import { ServerProcess } from "./support/server.ts";

const program = fileURLToPath(import.meta.resolve("@fuseml/server/kill-at-commit.fixture"));
const atMost = 60;

/** @returns whether the server was killed: without that, all writes have had their turn */
async function killedAt(write: number, mode: "before" | "after"): Promise<boolean> {
  const home = mkdtempSync(join(tmpdir(), "fuseml-commit-"));
  const data = join(home, "data");
  mkdirSync(data);
  writeFileSync(
    join(data, "host-recipes.yaml"),
    'recipes: [{image: "test/shell:*", command: [sh, -c, \'eval "$SCRIPT"\']}]\n',
  );
  const port = await freePort();
  const doomed = new ServerProcess(home, port, { FUSEML_TEST_KILL_AT: String(write), FUSEML_TEST_KILL: mode }, program);
  const next = new ServerProcess(home, port);
  const lines = () => (existsSync(join(home, "ran")) ? readFileSync(join(home, "ran"), "utf8").trim().split("\n") : []);
  try {
    await doomed.start();
    const steps = { a: 'echo a >> "$HOME/ran"', b: 'echo b >> "$HOME/ran"', c: 'echo c >> "$HOME/ran"' };
    await doomed.client.call("POST /workflows", { body: shellWorkflow("w", steps) });
    writeFileSync(join(data, "armed"), "");
    const start = (server: ServerProcess) =>
      server.client.call("POST /workflows/{name}/runs", { params: { name: "w" }, body: {} }).then(
        (run) => run.name,
        () => undefined,
      );
    const acknowledged = await start(doomed);
    const statusOf = (server: ServerProcess, id: string) =>
      server.client.call("GET /runs/{id}", { params: { id } }).then(
        (run) => run.status,
        () => "unknown",
      );
    await until("it is over, or the server is dead", async () => {
      if (!doomed.isUp) return true;
      return acknowledged !== undefined && (await statusOf(doomed, acknowledged)) === "Succeeded";
    });
    const wasKilled = !doomed.isUp;
    await doomed.kill();
    await next.start();
    // what was not acknowledged may be there or not; if not, it is asked for again
    const [present] = await next.client.call("GET /workflows/runs");
    const id = acknowledged ?? present?.name ?? (await start(next)) ?? "";
    if (acknowledged !== undefined) assert.equal(present?.name, acknowledged, "an acknowledged run is there");
    await until("the run succeeds", async () => (await statusOf(next, id)) === "Succeeded");
    assert.deepEqual(lines(), ["a", "b", "c"]);
    const { steps: ended } = await next.client.call("GET /runs/{id}", { params: { id } });
    assert.deepEqual(
      ended.map((step) => step.status),
      ["Succeeded", "Succeeded", "Succeeded"],
    );
    return wasKilled;
  } finally {
    await doomed.kill();
    await next.kill("SIGTERM");
    rmSync(home, { recursive: true, force: true });
  }
}

describe("every commit boundary", { timeout: 300_000, concurrency: true }, () => {
  for (const mode of ["before", "after"] as const) {
    test(`killed ${mode} each write`, async () => {
      let write = 1;
      while (await killedAt(write, mode)) {
        write += 1;
        assert.ok(write < atMost, "the run has an end");
      }
      assert.ok(write > 8, `a run has more than ${write} writes`);
    });
  }
});
