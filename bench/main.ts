/**
 * `npm run bench`: what the engine adds to the work itself. Each figure is measured beside its floor in the same run: quote the
 * ratios, machines differ and are noisy.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Fuseml, until } from "../test/support/fuseml.ts";
import { bareProcesses, chainOf, median, recipes, say, show, timedRun } from "./measure.ts";

const chainLength = 100;
const rounds = 5;
const pushes = 10;
const submits = 200;
const width = 1000;

const fuseml = await Fuseml.start();
const { client } = fuseml;

async function chain(): Promise<void> {
  await client.call("POST /workflows", { body: chainOf("chain", chainLength) });
  await bareProcesses(chainLength);
  await timedRun(client, "chain");
  const [bare, engine]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    bare.push(await bareProcesses(chainLength));
    engine.push((await timedRun(client, "chain")).took);
  }
  const ratio = median(engine.map((took, index) => took / (bare[index] ?? Number.NaN)));
  const overhead = (median(engine) - median(bare)) / chainLength;
  say(`chain of ${chainLength} no-op process steps, host agent, every transition synced to disk`);
  say(`  bare spawn   ${show(bare)}`);
  say(`  as a run     ${show(engine)}`);
  say(`  ratio        ${ratio.toFixed(2)} × the bare spawn; ${overhead.toFixed(2)} ms of overhead a step`);
}

async function fanOut(): Promise<void> {
  const values = Array.from({ length: width }, (_, n) => n).join(",");
  await client.call("POST /workflows", {
    body: `name: fan\nsteps:\n  - {name: s, image: "bench/true:1", matrix: {n: "${values}"}}\n`,
  });
  const bare = [await bareProcesses(width, 8), await bareProcesses(width, 8)];
  const engine = [(await timedRun(client, "fan")).took, (await timedRun(client, "fan")).took];
  say(`fan-out of ${width} no-op process steps`);
  say(`  bare spawn   ${show(bare)}, 8 side by side`);
  say(`  as a run     ${show(engine)}`);
  say(`  ratio        ${(median(engine) / median(bare)).toFixed(2)}`);
}

/** From sending the request to the first step's process: what is beyond a spawn is ours. */
async function submit(): Promise<void> {
  const mark = 'image: "test/shell:1", env: [{name: SCRIPT, value: \'date +%s%N > "$HOME/marks/$FUSEML_RUN_ID"\'}]';
  await client.call("POST /workflows", { body: chainOf("mark", 1, mark) });
  fuseml.directory("marks", { ".keep": "" });
  const delays: number[] = [];
  const bare: number[] = [];
  for (let n = 0; n < submits; n += 1) {
    const from = Date.now();
    const { id } = await timedRun(client, "mark");
    delays.push(Number(readFileSync(join(fuseml.home, "marks", id), "utf8")) / 1e6 - from);
    bare.push(await bareProcesses(1));
  }
  say(`submit to the first step's process (sh and date included, ${submits} times)`);
  say(`  as a run     ${show(delays)}`);
  say(`  bare spawn   ${show(bare)}`);
}

async function reuse(): Promise<void> {
  await client.call("POST /workflows", { body: chainOf("cached", chainLength, 'image: "bench/true:1", cache: true') });
  await timedRun(client, "cached");
  const took: number[] = [];
  for (let round = 0; round < rounds; round += 1) took.push((await timedRun(client, "cached")).took);
  say(`a run of ${chainLength} steps that are all reused`);
  say(`  as a run     ${show(took)}`);
}

/** From the return of `git push` to the start of the first step's process. Below zero, it started before git was done. */
async function pushToStart(): Promise<void> {
  const first =
    'name: first\ninputs: [{name: code, type: codeset}]\nsteps:\n  - name: a\n    image: test/shell:1\n    inputs: [{name: code, codeset: {name: "{{ inputs.code }}", path: /project}}]\n    env: [{name: SCRIPT, value: \'date +%s%N > "$HOME/started"\'}]\n';
  fuseml.directory(".", { "first.yaml": first });
  await fuseml.ok("workflow", "create", "first.yaml");
  await fuseml.ok("project", "create", "bench");
  fuseml.directory("code", { "n.txt": "0" });
  await fuseml.ok("codeset", "push", "code", "-p", "bench");
  await fuseml.ok("workflow", "assign", "first", "-p", "bench", "-c", "code", "--wait");
  const copy = join(fuseml.home, "copy");
  await fuseml.git(fuseml.home, "clone", "--quiet", `${fuseml.url}/git/bench/code.git`, copy);
  const mark = join(fuseml.home, "started");
  const delays: number[] = [];
  for (let n = 1; n <= pushes; n += 1) {
    rmSync(mark, { force: true });
    fuseml.directory("copy", { "n.txt": String(n) });
    await fuseml.git(copy, "commit", "--quiet", "-am", String(n));
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
    delays.push(started() / 1e6 - returned);
  }
  say("from the return of git push to the start of the first step's process");
  say(`  as a run     ${show(delays)}`);
}

try {
  fuseml.directory("data", { "host-recipes.yaml": recipes });
  for (const part of [chain, fanOut, submit, reuse, pushToStart]) await part();
} finally {
  await fuseml.dispose();
}
