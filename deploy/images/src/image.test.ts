import assert from "node:assert/strict";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { assemble } from "./image.ts";
import { entriesOf, packLayer } from "./layer.ts";
import { programEntries, stepPrograms } from "./programs.ts";

const running = { entrypoint: ["/a"], env: {}, user: "1000", workingDirectory: "/", labels: {} };

test("the same files give the same digest, whenever they were written and in whatever order they are named", async () => {
  const root = mkdtempSync(join(tmpdir(), "fuseml-image-"));
  try {
    const file = join(root, "file");
    writeFileSync(file, "contents");
    const entries = [
      { path: "/b", from: file },
      { path: "/a", text: "text", mode: 0o755 },
      { path: "/c", link: "a" },
    ];
    const first = await packLayer(entries, join(root, "layers"));
    utimesSync(file, 1, 1);
    const second = await packLayer([...entries].reverse(), join(root, "layers"));
    assert.equal(second.digest, first.digest);
    assert.equal(assemble([second], running).manifest.digest, assemble([first], running).manifest.digest);
    writeFileSync(file, "other contents");
    assert.notEqual((await packLayer(entries, join(root, "layers"))).digest, first.digest);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("the step programs go along with what they need, without tests", () => {
  const paths = new Set(programEntries().map(({ path }) => path));
  for (const name of stepPrograms()) assert.ok(paths.has(`/opt/fuseml/packages/steps/src/${name}/main.ts`), name);
  assert.ok(paths.has("/opt/fuseml/packages/steps/src/mlflow-runtime/run_project.py"));
  assert.ok(paths.has("/opt/fuseml/node_modules/yaml/package.json"));
  assert.ok(![...paths].some((path) => path.endsWith(".test.ts")));
});

test("directories come before what is in them", () => {
  const entries = entriesOf(new URL("..", import.meta.url).pathname, "/x");
  assert.equal(entries[0]?.path, "/x");
  assert.ok(entries.some(({ path }) => path === "/x/src/image.ts"));
});
