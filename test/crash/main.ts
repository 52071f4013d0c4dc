/** `npm run crash -- --kills 1000 --seed 1`: the last line is `lost 0, doubled 0, adopted N`. */
import { parseArgs } from "node:util";
import { crash } from "./crash.ts";

const { values } = parseArgs({
  options: { kills: { type: "string", default: "1000" }, seed: { type: "string", default: "1" } },
});
const say = (line: string) => void process.stderr.write(`${line}\n`);
const { lost, doubled, adopted, runs, steps } = await crash({
  kills: Number(values.kills),
  seed: Number(values.seed),
  say,
});
for (const one of lost) say(`lost: ${one}`);
for (const one of doubled) say(`doubled: ${one}`);
say(`${values.kills} kills, ${runs} runs, ${steps} steps`);
process.stdout.write(`lost ${lost.length}, doubled ${doubled.length}, adopted ${adopted}\n`);
process.exitCode = lost.length + doubled.length > 0 ? 1 : 0;
