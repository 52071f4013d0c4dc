/** A step that is slow, stopped, or runs on a loaded machine is never taken for dead; one that is dead is found out soon. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { ShellWorkers } from "../../platform/processes/shell-worker.ts";
import { Random } from "../../runs/simulation/random.ts";
import { readClaim } from "./claim.ts";
import { StepProcess } from "./step-process.ts";

const trials = 1000;
const atOnce = 40;
const deadWithinMs = 10_000;

/** @returns false when the group has ended: on a loaded machine a step may be over before it can be stopped */
function signal(group: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(-group, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

test(`${trials} living steps, stopped and continued on a loaded machine: none is told as dead`, {
  timeout: 240_000,
}, async () => {
  const root = mkdtempSync(join(tmpdir(), "fuseml-live-"));
  const workers = new ShellWorkers({ PATH: process.env.PATH ?? "" });
  const random = new Random(1);
  const trial = async (n: number): Promise<void> => {
    const directory = join(root, String(n));
    mkdirSync(directory);
    const script = `sleep 0.${10 + random.below(20)}; exit ${n % 7}`;
    const own = await StepProcess.start(
      directory,
      workers,
      { command: ["sh", "-c", script], cwd: "/", env: {} },
      () => true,
    );
    const claimed = () => readClaim(directory);
    while (claimed() === undefined || claimed() === "torn") await pause(1);
    // the server that started it, and one that takes it up after a crash
    const watched = Promise.all([own?.ended(), StepProcess.adopt(directory)?.ended()]);
    const identity = claimed();
    if (random.chance(0.5) && identity && identity !== "torn" && signal(identity.pid, "SIGSTOP")) {
      await pause(random.below(400));
      signal(identity.pid, "SIGCONT");
    }
    for (const end of await watched) assert.deepEqual(end, { type: "exited", code: n % 7 }, `trial ${n}`);
  };
  try {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < trials) await trial(next++);
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
  } finally {
    workers.dismissAll();
    rmSync(root, { recursive: true, force: true });
  }
});

test("a step that was killed with everything around it is told as gone, by the server that started it and by the next", async () => {
  const root = mkdtempSync(join(tmpdir(), "fuseml-live-"));
  const workers = new ShellWorkers({ PATH: process.env.PATH ?? "" });
  try {
    const own = await StepProcess.start(root, workers, { command: ["sleep", "300"], cwd: "/", env: {} }, () => true);
    let identity = readClaim(root);
    for (; identity === undefined || identity === "torn"; identity = readClaim(root)) await pause(1);
    const ends = Promise.all([own?.ended(), StepProcess.adopt(root)?.ended()]);
    const killed = performance.now();
    process.kill(-identity.pid, "SIGKILL");
    assert.deepEqual(await ends, [{ type: "gone" }, { type: "gone" }]);
    assert.ok(performance.now() - killed < deadWithinMs);
  } finally {
    workers.dismissAll();
    rmSync(root, { recursive: true, force: true });
  }
});

test("a claim that was never completed is given up after a while: nothing waits for ever", async () => {
  const root = mkdtempSync(join(tmpdir(), "fuseml-live-"));
  try {
    writeFileSync(join(root, "process.json"), "");
    assert.deepEqual(await StepProcess.adopt(root)?.ended(), { type: "gone" });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
