import { spawn } from "node:child_process";
import type { Client } from "@fuseml/client/client";

export const median = (numbers: readonly number[]): number => quantile(numbers, 0.5);

/** The value below which so large a part of the numbers is. */
export const quantile = (numbers: readonly number[], part: number): number =>
  [...numbers].sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * part))] ?? Number.NaN;

export const show = (numbers: readonly number[]): string =>
  `median ${median(numbers).toFixed(1)} ms (min ${Math.min(...numbers).toFixed(1)}, p99 ${quantile(numbers, 0.99).toFixed(1)}, n ${numbers.length})`;

export const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** No-op processes with nothing around them, `side` of them side by side. */
export async function bareProcesses(count: number, side = 1): Promise<number> {
  const from = performance.now();
  let left = count;
  const lane = async (): Promise<void> => {
    while (left-- > 0) {
      await new Promise((resolve, reject) =>
        spawn("true", { stdio: "ignore" }).on("error", reject).on("exit", resolve),
      );
    }
  };
  await Promise.all(Array.from({ length: side }, lane));
  return performance.now() - from;
}

/** A run, from asking for it to its end as a client sees it. @returns milliseconds, and its id */
export async function timedRun(client: Client, name: string, body = {}): Promise<{ took: number; id: string }> {
  const from = performance.now();
  const { name: id } = await client.call("POST /workflows/{name}/runs", { params: { name }, body });
  for await (const { event } of client.stream("GET /runs/{id}/events", { params: { id } }))
    if (event === "run.ended") break;
  const took = performance.now() - from;
  const { status, error } = await client.call("GET /runs/{id}", { params: { id } });
  if (status !== "Succeeded") throw new Error(`${name} ended as ${status}: ${error?.message}`);
  return { took, id };
}

/** Steps with the image `bench/true:1` do nothing, those with `test/shell:1` run the text of their variable `SCRIPT`. */
export const recipes =
  'recipes: [{image: "bench/true:*", command: ["true"]}, {image: "test/shell:*", command: [sh, -c, \'eval "$SCRIPT"\']}]\n';

/** A chain of no-op steps. */
export const chainOf = (name: string, length: number, step = 'image: "bench/true:1"'): string =>
  `name: ${name}\nsteps:\n${Array.from({ length }, (_, n) => `  - {name: s${n}, ${step}}\n`).join("")}`;
