import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ToolFailure } from "./command.ts";
import { activate, EnvironmentStore, fingerprint } from "./store.ts";

const root = mkdtempSync(join(tmpdir(), "fuseml-environments-"));
after(() => rmSync(root, { recursive: true, force: true }));
const tools = join(root, "tools");
let stores = 0;
function newStore(): EnvironmentStore {
  stores += 1;
  return new EnvironmentStore(join(root, String(stores)), tools);
}
const quiet = { strict: false, say: () => undefined };

test("an environment is made once, also when two ask at once, and found from then on", async () => {
  const store = newStore();
  const request = { requirements: ["six==1.16.0"] };
  const [one, other] = await Promise.all([store.ensure(request, quiet), store.ensure(request, quiet)]);
  assert.deepEqual([one.made, other.made].sort(), [false, true]);
  assert.equal(one.environment.fingerprint, fingerprint(request));
  assert.match(one.environment.lock, /six==1.16.0/);
  assert.ok(existsSync(join(one.environment.directory, "bin", "python")));
  assert.deepEqual(await store.ensure(request, quiet), { environment: one.environment, made: false });
  assert.deepEqual(readdirSync(store.directory), [one.environment.fingerprint]);
});

test("a Python version that is not to be had is a warning that names it, and an error when that is asked for", async () => {
  const store = newStore();
  const request = { python: "3.99", requirements: [] };
  await assert.rejects(store.ensure(request, { ...quiet, strict: true }), (error: ToolFailure) =>
    /Python 3\.99 .* not to be had/.test(error.output),
  );
  assert.deepEqual(readdirSync(store.directory), []);
  const { environment } = await store.ensure(request, quiet);
  assert.match(
    environment.warnings.join(),
    /Python 3\.99 is asked for and is not to be had on this machine; the machine's own Python is used/,
  );
});

test("requirements that do not install: the installer's own words, and nothing is left", async () => {
  const store = newStore();
  await assert.rejects(
    store.ensure({ requirements: ["six==0.0.0.1"] }, quiet),
    (error: unknown) =>
      error instanceof ToolFailure && /six/.test(error.output) && /no version|unsatisfiable/.test(error.output),
  );
  assert.deepEqual(readdirSync(store.directory), []);
});

test("what a killed build left is no environment, and its lock is taken over", async () => {
  const store = newStore();
  const request = { requirements: [] };
  const name = fingerprint(request);
  mkdirSync(join(store.directory, name, "bin"), { recursive: true });
  mkdirSync(join(store.directory, `${name}.lock`));
  // no process has this number: it is above the kernel's limit
  writeFileSync(join(store.directory, `${name}.lock`, "pid"), "4194305");
  assert.equal(store.find(name), undefined);
  assert.ok((await store.ensure(request, quiet)).made);
});

test("an activated environment comes first on the path, and Python may write its compiled files", () => {
  const env = activate(
    { directory: "/e" },
    { PATH: "/bin", PYTHONDONTWRITEBYTECODE: "1", PYTHONPATH: "/x", HOME: "/h" },
  );
  assert.deepEqual(env, { PATH: "/e/bin:/bin", HOME: "/h", VIRTUAL_ENV: "/e" });
});
