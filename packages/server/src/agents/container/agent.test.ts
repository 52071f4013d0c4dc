import assert from "node:assert/strict";
import { execFileSync, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { GitCodeStore } from "../../stores/git/git-code-store.ts";
import { workloadAgentConformance } from "../workload-agent.conformance.ts";
import { type Doom, makeAgent } from "./agent.fixture.ts";
import { connectEngine } from "./engine-address.ts";
import { noEngine, processesInside, shellImage, testEngines } from "./test-engines.fixture.ts";

for (const { name, address } of testEngines()) {
  const engine = await connectEngine(address);
  workloadAgentConformance(`container (${name})`, async () => {
    const root = mkdtempSync(join(tmpdir(), "fuseml-container-"));
    const { agent, containers } = makeAgent(root, engine);
    const mine = `FUSEML_TEST_ROOT=${root}`;
    return {
      agent,
      shellImage,
      refusedImage: "fuseml.local/mlflow/trainer:0123456789abcdef",
      variables: { FUSEML_TEST_ROOT: root },
      submitAndCrash: (segment, context, after) =>
        new Promise((resolve) => {
          const child = fork(new URL("agent.fixture.ts", import.meta.url));
          child.once("exit", () => resolve());
          child.send({ root, address, segment, context, after } satisfies Doom);
        }),
      reopen: () => makeAgent(root, engine).agent,
      isAlive: (pid) => processesInside(pid, mine).length > 0,
      destroy: async () => {
        const [only] = await engine.docker.listContainers({
          filters: { label: [`dev.fuseml.owner=${containers.owner}`] },
        });
        await engine.docker.getContainer(only?.Id ?? "").remove({ force: true });
      },
      dispose: async () => {
        const left = await engine.docker.listContainers({
          all: true,
          filters: { label: [`dev.fuseml.owner=${containers.owner}`] },
        });
        rmSync(root, { recursive: true, force: true });
        await containers.sweep();
        assert.deepEqual(
          left.map(({ Names: names }) => names),
          [],
          "containers that were left behind",
        );
      },
    };
  });

  test(`a codeset is at its path in the container (${name})`, async () => {
    const root = mkdtempSync(join(tmpdir(), "fuseml-container-"));
    try {
      const store = new GitCodeStore(join(root, "git"));
      await store.create("p", "c");
      const copy = join(root, "copy");
      execFileSync("git", ["clone", "--quiet", store.directoryOf("p", "c"), copy]);
      mkdirSync(join(copy, "src"));
      writeFileSync(join(copy, "src", "train.py"), "print(1)");
      const git = (...args: string[]) =>
        execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { cwd: copy });
      git("add", ".");
      git("commit", "--quiet", "-m", "one");
      git("push", "--quiet", "origin", "main");
      const version = (await store.resolve("p", "c")) ?? "";
      const { agent } = makeAgent(root, engine);
      const script = "pwd; cat src/train.py .fuseml/_project .fuseml/_org; ls -d .git /tekton/results";
      const id = `run_code_${name}.1`;
      const code = { kind: "code" as const, project: "p", name: "c", version };
      await agent.submit(
        {
          id,
          runId: `run_code_${name}`,
          agent: "container",
          steps: [
            {
              name: "a",
              step: "a",
              attempt: 1,
              needs: [],
              image: [shellImage],
              variables: [{ name: "SCRIPT", value: [script] }],
              codesets: [{ input: "code", address: code, path: "/project" }],
              outputs: [],
              extensions: [],
            },
          ],
        },
        {
          workflow: "w",
          project: "p",
          serverUrl: "",
          token: "fml_1234567890",
          finished: new Map(),
          extensions: {},
        },
      );
      for await (const _events of agent.observe(id));
      let log = "";
      for await (const chunk of agent.logs(id, "a", { from: 0, follow: false, signal: AbortSignal.timeout(5000) }))
        log += chunk.text;
      assert.equal(log, `/project\nprint(1)cp.git\n/tekton/results\n`);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
}

test("container engines are here", { skip: noEngine }, () => assert.ok(testEngines().length > 0));
