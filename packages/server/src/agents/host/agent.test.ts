import assert from "node:assert/strict";
import { execFileSync, fork } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { identify } from "../../platform/processes/identity.ts";
import { GitCodeStore } from "../../stores/git/git-code-store.ts";
import { workloadAgentConformance } from "../workload-agent.conformance.ts";
import { type Doom, makeAgent } from "./agent.fixture.ts";
import { hostEnvironment } from "./environment.ts";

workloadAgentConformance("host", async () => {
  const root = mkdtempSync(join(tmpdir(), "fuseml-host-"));
  return {
    agent: makeAgent(root),
    shellImage: "test/shell:1",
    refusedImage: "example.org/no/recipe:1",
    submitAndCrash: (segment, context, after) =>
      new Promise((resolve) => {
        const child = fork(new URL("agent.fixture.ts", import.meta.url));
        child.once("exit", () => resolve());
        child.send({ root, segment, context, after } satisfies Doom);
      }),
    reopen: () => makeAgent(root),
    isAlive: (pid) => identify(pid) !== undefined,
    destroy: async (pid) => {
      // the group: the step and what supervises it
      const group = Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[2]);
      process.kill(-group, "SIGKILL");
    },
    dispose: async () => rmSync(root, { recursive: true, force: true }),
  };
});

test("a step of the host gets its codeset as a working copy at its path, with the marks of its origin", async () => {
  const root = mkdtempSync(join(tmpdir(), "fuseml-host-"));
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
    const agent = makeAgent(root);
    const script = "pwd; cat src/train.py .fuseml/_project .fuseml/_org; git status --porcelain; git rev-parse HEAD";
    const segment = {
      id: "run_c.a",
      runId: "run_c",
      agent: "host",
      steps: [
        {
          name: "a",
          step: "a",
          attempt: 1,
          needs: [],
          image: ["test/shell:1"],
          variables: [{ name: "SCRIPT", value: [script] }],
          codesets: [
            { input: "code", address: { kind: "code" as const, project: "p", name: "c", version }, path: "/project" },
          ],
          outputs: [],
          extensions: [],
        },
      ],
    };
    await agent.submit(segment, {
      workflow: "w",
      project: "p",
      serverUrl: "",
      token: "fml_1234567890",
      finished: new Map(),
      extensions: {},
    });
    for await (const _events of agent.observe(segment.id));
    let log = "";
    for await (const chunk of agent.logs(segment.id, "a", {
      from: 0,
      follow: false,
      signal: AbortSignal.timeout(5000),
    }))
      log += chunk.text;
    assert.match(log, new RegExp(`/work/project\nprint\\(1\\)cp${version}\n$`));
    // the working copy is gone with the step; the log stays
    assert.equal(existsSync(join(root, "segments", segment.id, "a", "work")), false);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("of the server's environment a step gets what it needs, and none of the server's secrets", () => {
  const passed = hostEnvironment({
    PATH: "/bin",
    HOME: "/h",
    HTTPS_PROXY: "p",
    FUSEML_SECRET_KEY: "k",
    FUSEML_TOKEN: "t",
    AWS_SECRET_ACCESS_KEY: "s",
    PYTHONDONTWRITEBYTECODE: "1",
  });
  assert.deepEqual(passed, { PATH: "/bin", HOME: "/h", HTTPS_PROXY: "p" });
});
