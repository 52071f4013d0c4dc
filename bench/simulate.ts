/** The engine under simulation: `npm run simulate -- --seeds 100000`, or one seed with its trace: `--seed 42`. */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { simulate } from "@fuseml/server/runs/simulation/simulation";

type Share = { readonly from: number; readonly to: number };
type Word = { readonly done: number; readonly failed: readonly { seed: number; violations: readonly string[] }[] };

async function work({ from, to }: Share, tell: (word: Word) => void): Promise<void> {
  for (let seed = from; seed < to; seed += 1) {
    const { violations } = await simulate(seed);
    tell({ done: 1, failed: violations.length > 0 ? [{ seed, violations }] : [] });
  }
}

async function one(seed: number): Promise<void> {
  const { trace, violations } = await simulate(seed);
  process.stdout.write(`${trace.join("\n")}\n${violations.map((of) => `VIOLATION ${of}`).join("\n")}\n`);
  process.exitCode = violations.length > 0 ? 1 : 0;
}

async function many(seeds: number, first: number): Promise<void> {
  const threads = availableParallelism();
  const share = Math.ceil(seeds / threads);
  const started = performance.now();
  let done = 0;
  const failed: number[] = [];
  await Promise.all(
    Array.from({ length: threads }, (_, n) => {
      const from = first + n * share;
      const worker = new Worker(new URL(import.meta.url), {
        workerData: { from, to: Math.min(from + share, first + seeds) } satisfies Share,
      });
      worker.on("message", (word: Word) => {
        done += word.done;
        for (const { seed, violations } of word.failed) {
          failed.push(seed);
          process.stdout.write(
            `seed ${seed}: ${violations.join("; ")}\n  replay: npm run simulate -- --seed ${seed}\n`,
          );
        }
        if (done % 1000 === 0) process.stderr.write(`${done} of ${seeds}\n`);
      });
      return new Promise((resolve, reject) => worker.once("exit", resolve).once("error", reject));
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  process.stdout.write(`${done} seeds in ${seconds.toFixed(0)} s, ${failed.length} failed\n`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}

if (isMainThread) {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "100000" },
      first: { type: "string", default: "1" },
      seed: { type: "string" },
    },
  });
  if (values.seed === undefined) await many(Number(values.seeds), Number(values.first));
  else await one(Number(values.seed));
} else await work(workerData as Share, (word) => parentPort?.postMessage(word));
