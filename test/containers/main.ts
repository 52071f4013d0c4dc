/**
 * `npm run test:containers`: installs container engines from the distribution when they are missing, starts them with storage of
 * their own, and runs every test that needs one. `-- --only docker` takes one engine.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { baseLayer } from "@fuseml/images/base";
import { imageCache } from "@fuseml/images/publish";
import { engineStarters, installMissing, provideBuildah } from "./engines.ts";

const { values } = parseArgs({
  options: { only: { type: "string" }, pattern: { type: "string" }, file: { type: "string" } },
});
const say = (line: string) => void process.stderr.write(`${line}\n`);
const scratch = mkdtempSync(join(tmpdir(), "fuseml-engines-"));
const stops: (() => Promise<void>)[] = [];
const wanted = Object.entries(engineStarters).filter(([name]) => values.only === undefined || name === values.only);

try {
  await installMissing(say);
  const base = await baseLayer(imageCache(process.env), say);
  const addresses: string[] = [];
  for (const [name, start] of wanted) {
    say(`starting ${name}`);
    const engine = await start(join(scratch, name), base.file);
    stops.push(engine.stop);
    addresses.push(`${name}=${engine.address}`);
  }
  const tool = await provideBuildah(join(scratch, "buildah"), base.file);
  stops.push(tool.stop);
  process.exitCode = await run({
    ...tool.env,
    FUSEML_TEST_ENGINES: addresses.join(","),
    FUSEML_TEST_BASE: base.file,
  });
} finally {
  for (const stop of stops) await stop();
  rmSync(scratch, { recursive: true, force: true });
}

function run(extra: Record<string, string>): Promise<number> {
  const files =
    values.file !== undefined
      ? [values.file]
      : ["packages/server/src/agents/container/*.test.ts", "test/containers/*.test.ts"];
  const only = values.pattern === undefined ? [] : [`--test-name-pattern=${values.pattern}`];
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      ["--test", "--test-concurrency=1", "--test-timeout=300000", ...only, ...files],
      {
        stdio: "inherit",
        env: { ...process.env, ...extra },
      },
    );
    child.once("exit", (code) => resolve(code ?? 1));
  });
}
