/**
 * `npm run bench`: what the engine adds to the work itself. Each figure is measured beside its floor in the same run: quote the
 * ratios, machines differ and are noisy.
 */
import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Fuseml, until } from "../test/support/fuseml.ts";

const chainLength = 100;
const rounds = 5;
const pushes = 10;

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
const show = (numbers: readonly number[]): string =>
  `median ${median(numbers).toFixed(1)} ms (min ${Math.min(...numbers).toFixed(1)}, max ${Math.max(...numbers).toFixed(1)}, n ${numbers.length})`;

/** The same processes, one after the other, with nothing around them. */
async function bareChain(): Promise<number> {
  const from = performance.now();
  for (let n = 0; n < chainLength; n += 1) {
    await new Promise((resolve, reject) => spawn("true", { stdio: "ignore" }).on("error", reject).on("exit", resolve));
  }
  return performance.now() - from;
}

/** A run of as many no-op steps: from asking for it to its end. */
async function chain({ client }: Fuseml): Promise<number> {
  const from = performance.now();
  const run = await client.call("POST /workflows/{name}/runs", { params: { name: "chain" }, body: { inputs: {} } });
  for await (const { event } of client.stream("GET /runs/{id}/events", { params: { id: run.name } }))
    if (event === "run.ended") break;
  const took = performance.now() - from;
  const { status } = await client.call("GET /runs/{id}", { params: { id: run.name } });
  if (status !== "Succeeded") throw new Error(`the chain ended as ${status}`);
  return took;
}

/** From the return of `git push` to the start of the first step's process. Below zero, it started before git was done. */
async function pushToStart(fuseml: Fuseml, copy: string, n: number): Promise<number> {
  const mark = join(fuseml.home, "started");
  rmSync(mark, { force: true });
  fuseml.directory("copy", { "n.txt": String(n) });
  await fuseml.git(copy, "add", ".");
  await fuseml.git(copy, "commit", "--quiet", "-m", String(n));
  await fuseml.git(copy, "push", "--quiet");
  const returned = Date.now();
  const started = () => {
    try {
      return Number(readFileSync(mark, "utf8"));
    } catch {
      // not yet
      return 0;
    }
  };
  await until("the step has started", () => started() > 0);
  return started() / 1e6 - returned;
}

const fuseml = await Fuseml.start();
try {
  const noop = `name: chain\nsteps:\n${Array.from({ length: chainLength }, (_, n) => `  - {name: s${n}, image: "bench/true:1"}\n`).join("")}`;
  const first =
    'name: first\ninputs: [{name: code, type: codeset}]\nsteps:\n  - name: a\n    image: test/shell:1\n    inputs: [{name: code, codeset: {name: "{{ inputs.code }}", path: /project}}]\n    env: [{name: SCRIPT, value: \'date +%s%N > "$HOME/started"\'}]\n';
  fuseml.directory(".", { "chain.yaml": noop, "first.yaml": first });
  fuseml.directory("data", {
    "host-recipes.yaml":
      'recipes: [{image: "bench/true:*", command: ["true"]}, {image: "test/shell:*", command: [sh, -c, \'eval "$SCRIPT"\']}]\n',
  });
  await fuseml.ok("workflow", "create", "chain.yaml");
  await fuseml.ok("workflow", "create", "first.yaml");

  await bareChain();
  await chain(fuseml);
  const [bare, engine]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    bare.push(await bareChain());
    engine.push(await chain(fuseml));
  }
  const ratio = median(engine.map((took, index) => took / (bare[index] ?? Number.NaN)));
  process.stdout.write(`chain of ${chainLength} no-op process steps, host agent, every transition synced to disk\n`);
  process.stdout.write(`  bare spawn   ${show(bare)}\n  as a run     ${show(engine)}\n`);
  process.stdout.write(
    `  ratio        ${ratio.toFixed(2)} × the bare spawn; ${((median(engine) - median(bare)) / chainLength).toFixed(2)} ms of overhead a step\n`,
  );

  await fuseml.ok("project", "create", "bench");
  fuseml.directory("code", { "n.txt": "0" });
  await fuseml.ok("codeset", "push", "code", "-p", "bench");
  await fuseml.ok("workflow", "assign", "first", "-p", "bench", "-c", "code", "--wait");
  const copy = join(fuseml.home, "copy");
  await fuseml.git(fuseml.home, "clone", "--quiet", `${fuseml.url}/git/bench/code.git`, copy);
  const delays: number[] = [];
  for (let n = 1; n <= pushes; n += 1) delays.push(await pushToStart(fuseml, copy, n));
  process.stdout.write(`from the return of git push to the start of the first step's process\n  ${show(delays)}\n`);
} finally {
  await fuseml.dispose();
}
