/** What goes wrong with images, registries and containers: a clear error on the step, and nothing left behind. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { RunError } from "@fuseml/core/run/state";
import { assemble, type Running } from "@fuseml/images/image";
import { packLayer } from "@fuseml/images/layer";
import { pushImage } from "@fuseml/images/push";
import { makeAgent } from "@fuseml/server/agents/container/agent.fixture";
import { connectEngine } from "@fuseml/server/agents/container/engine-address";
import { noEngine, shellImage, testEngines } from "@fuseml/server/agents/container/test-engines.fixture";
import { login, startRegistry, type TestRegistry } from "./registry.ts";

const running: Running = { entrypoint: ["/program"], env: {}, user: "", workingDirectory: "/", labels: {} };

const step = (image: string, of: Partial<StepSpec> = {}): StepSpec => ({
  name: "a",
  step: "a",
  attempt: 1,
  needs: [],
  image: [image],
  variables: [],
  codesets: [],
  outputs: [],
  extensions: [],
  ...of,
});

const script = (text: string): Pick<StepSpec, "variables"> => ({ variables: [{ name: "SCRIPT", value: [text] }] });

for (const { name, address } of testEngines()) {
  describe(`bad input for containers (${name})`, () => {
    let registry: TestRegistry;
    let guarded: TestRegistry;
    let root: string;
    let runs = 0;

    before(async () => {
      root = mkdtempSync(join(tmpdir(), "fuseml-bad-"));
      [registry, guarded] = await Promise.all([startRegistry(), startRegistry({ asks: true })]);
    });
    after(async () => {
      await Promise.all([registry.stop(), guarded.stop()]);
      rmSync(root, { recursive: true, force: true });
    });

    /** An image with one file, made for a processor. */
    async function push(
      to: TestRegistry,
      as: string,
      file: { text: string; encoding?: BufferEncoding } | undefined,
      architecture?: string,
    ) {
      const layer = await packLayer(
        [{ path: "/etc/hello", text: "hello\n" }, ...(file ? [{ path: "/program", mode: 0o755, ...file }] : [])],
        join(root, "layers"),
      );
      const of = { ...running, ...(architecture ? { architecture } : {}) };
      const secret = to === guarded ? { login: `${login.name}:${login.password}` } : {};
      await pushImage(assemble([layer], of), { repository: as, tag: "1" }, { registry: to.address, ...secret });
      return `${to.address}/${as}:1`;
    }

    /** Runs one step to its end. @returns its error, with what was left behind */
    async function run(of: StepSpec, loginFiles: readonly string[] = []): Promise<RunError | undefined> {
      runs += 1;
      const engine = await connectEngine(address);
      const { agent, containers } = makeAgent(join(root, String(runs)), engine, { loginFiles });
      const id = `run_bad_${name}_${runs}.1`;
      await agent.submit(
        { id, runId: `run_bad_${runs}`, agent: "container", steps: [of] },
        { workflow: "w", project: "p", serverUrl: "", token: "fml_1234567", finished: new Map(), extensions: {} },
      );
      let error: RunError | undefined;
      for await (const events of agent.observe(id))
        for (const event of events) if (event.type === "failed") ({ error } = event);
      const filters = { label: [`dev.fuseml.owner=${containers.owner}`] };
      assert.deepEqual(await engine.docker.listContainers({ all: true, filters }), [], "a container was left behind");
      const { Volumes: volumes } = await engine.docker.listVolumes();
      assert.deepEqual(volumes ?? [], [], "a volume was left behind");
      return error;
    }

    const fails = async (of: StepSpec, code: string, words: RegExp): Promise<void> => {
      const error = await run(of);
      assert.ok(error, "it should have failed");
      assert.equal(error.code, code, error.message);
      assert.match(`${error.message} ${error.hint}`, words);
    };

    test("an image that is not there", () =>
      fails(step(`${registry.address}/no/such:1`), "image.not-found", /no\/such:1 is not there.*name and tag/s));

    test("a registry that is not there", () =>
      fails(step("127.0.0.1:1/a/b:1"), "image.registry-unreachable", /127.0.0.1:1.*resume RUN/s));

    test("an image that may not be pulled, and may with a login", async () => {
      const image = await push(guarded, "secret/image", undefined);
      await fails(step(image), "image.denied", /may not be pulled.*login/s);
      const file = join(root, "auth.json");
      const auth = Buffer.from(`${login.name}:${login.password}`).toString("base64");
      writeFileSync(file, JSON.stringify({ auths: { [guarded.address]: { auth } } }));
      // pulled now; that it cannot be started is what the next test is about
      assert.equal((await run(step(image), [file]))?.code, "image.entrypoint");
    });

    test("an entry point that is not in the image", async () => {
      const image = await push(registry, "no/entrypoint", undefined);
      await fails(step(image), "image.entrypoint", /no\/entrypoint.*ENTRYPOINT/s);
    });

    test("an image for another processor", async () => {
      // the head of a program for 64-bit ARM
      const head = Buffer.alloc(64);
      head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1], 0);
      head.set([2, 0, 0xb7, 0], 16);
      const image = await push(
        registry,
        "other/processor",
        { text: head.toString("latin1"), encoding: "latin1" },
        "arm64",
      );
      await fails(step(image), "image.wrong-architecture", /other\/processor.*build it for this machine/s);
    });

    test("a step that uses more memory than it may is ended, and the reason is told", () =>
      fails(
        step(shellImage, {
          ...script('exec python3 -c "x = bytearray(1 << 30)"'),
          resources: { limits: { memory: "64Mi" } },
        }),
        "step.out-of-memory",
        /memory limit of 64 MiB.*resources/s,
      ));

    test("limits hold: processors and memory are what the step sees", async () => {
      const limits = { limits: { cpu: "0.5", memory: "128Mi" } };
      const read =
        'q=$(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d\' \' -f1 /sys/fs/cgroup/cpu.max); m=$(cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max); [ "$q $m" = "50000 134217728" ] || { echo $q $m; exit 3; }';
      assert.equal((await run(step(shellImage, { ...script(read), resources: limits })))?.message, undefined);
    });
  });
}

test("containers are tried with bad input", { skip: noEngine }, () => assert.ok(testEngines().length > 0));
