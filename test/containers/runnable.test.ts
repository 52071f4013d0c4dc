/** Steps in containers through the whole product. Runnables: registered, checked when a workflow is made, run with the command that their descriptor says. */
import assert from "node:assert/strict";
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createGunzip } from "node:zlib";
import { assemble } from "@fuseml/images/image";
import { layerOf, packLayer } from "@fuseml/images/layer";
import { pushImage } from "@fuseml/images/push";
import { noEngine, shellImage, testEngines } from "@fuseml/server/agents/container/test-engines.fixture";
import { freePort } from "@fuseml/server/platform/processes/ports";
import { Fuseml } from "../support/fuseml.ts";
import { startRegistry } from "./registry.ts";

const descriptor = `
id: greeter
kind: custom
description: greets whom it is told
labels: { language: shell }
container:
  image: ${shellImage}
  entrypoint: sh -c
  args: ["echo \\"$GREETING {{inputs.who}}\\" > {{outputs.text}}"]
  env: { GREETING: "{{inputs.greeting}}" }
input:
  parameters: { who: { description: name }, greeting: { defaultValue: Hello } }
output:
  parameters: { text: {} }
`;

const workflow = (of: { input?: string; output?: string; runnable?: string } = {}) => `
name: greet
inputs:
  - { name: person, default: World }
outputs:
  - { name: ${of.output ?? "text"} }
steps:
  - name: greet
    runnable: ${of.runnable ?? "runnable://fuseml/greeter"}
    zone: container
    inputs:
      - { name: ${of.input ?? "who"}, value: "{{ inputs.person }}" }
    outputs:
      - { name: ${of.output ?? "text"} }
`;

describe("runnables", { skip: noEngine }, () => {
  let fuseml: Fuseml;
  before(async () => {
    fuseml = await Fuseml.start({
      FUSEML_AGENTS: "container,host",
      FUSEML_CONTAINER_ENGINE: testEngines().at(-1)?.address,
      FUSEML_REGISTRY_PORT: String(await freePort()),
    });
    fuseml.directory(".", {
      "greeter.yaml": descriptor,
      "greet.yaml": workflow(),
      "wrong-input.yaml": workflow({ input: "whom" }),
      "wrong-output.yaml": workflow({ output: "texts" }),
      "unknown.yaml": workflow({ runnable: "runnable://fuseml/greeters" }),
    });
  });
  after(() => fuseml.dispose());

  test("a runnable is registered and found by id, kind and label", async () => {
    assert.match(await fuseml.ok("runnable", "register", "greeter.yaml"), /runnable:\/\/fuseml\/greeter/);
    for (const filter of [
      ["--id", "gre.*"],
      ["--kind", "custom"],
      ["--label", "language:sh.*"],
    ])
      assert.match(await fuseml.ok("runnable", "list", ...filter), /greeter/);
  });

  test("a step that does not fit is told where, what, and the nearest name", async () => {
    const check = async (file: string) => (await fuseml.cli("workflow", "create", file)).err;
    const input = await check("wrong-input.yaml");
    assert.match(input, /wrong-input.yaml:12:\d+.*runnable "greeter" has no input "whom".*did you mean "who"/s);
    assert.match(input, /needs the input "who"/);
    assert.match(await check("wrong-output.yaml"), /has no output "texts".*did you mean "text"/s);
    assert.match(await check("unknown.yaml"), /there is no runnable "runnable:\/\/fuseml\/greeters"/);
  });

  test("it runs with the command, the variables and the defaults of its descriptor", async () => {
    await fuseml.ok("workflow", "create", "greet.yaml");
    await fuseml.ok("workflow", "run", "greet", "--input", "person=Ada", "--wait");
    const [run] = await fuseml.client.call("GET /workflows/runs", { query: { limit: "1" } });
    const { outputs } = await fuseml.client.call("GET /runs/{id}", { params: { id: run?.name ?? "" } });
    assert.deepEqual(
      outputs.map(({ output, value }) => [output.name, value]),
      [["text", "Hello Ada"]],
    );
  });

  test("registering a changed descriptor changes no workflow", async () => {
    fuseml.directory(".", { "changed.yaml": descriptor.replace("Hello", "Goodbye") });
    await fuseml.ok("runnable", "register", "changed.yaml");
    await fuseml.ok("workflow", "run", "greet", "--wait");
    const [run] = await fuseml.client.call("GET /workflows/runs", { query: { limit: "1" } });
    const { outputs } = await fuseml.client.call("GET /runs/{id}", { params: { id: run?.name ?? "" } });
    assert.equal(outputs[0]?.value, "Hello World");
  });

  test("a step can ask for the host beside containers; a request that no machine meets is refused beforehand", async () => {
    fuseml.directory(".", {
      "both.yaml": `name: both\nzone: local\nsteps:\n  - {name: here, image: "test/shell:1", env: [{name: SCRIPT, value: "true"}]}\n  - {name: there, zone: container, image: "${shellImage}", env: [{name: SCRIPT, value: "true"}]}\n`,
      "large.yaml": `name: large\nsteps:\n  - {name: a, zone: container, image: "${shellImage}", resources: {requests: {cpu: 1000}}}\n`,
    });
    await fuseml.ok("workflow", "create", "both.yaml");
    await fuseml.ok("workflow", "run", "both", "--wait");
    const [run] = await fuseml.client.call("GET /workflows/runs", { query: { limit: "1" } });
    const { steps } = await fuseml.client.call("GET /runs/{id}", { params: { id: run?.name ?? "" } });
    assert.deepEqual(
      steps.map(({ name, image }) => [name, image !== undefined]),
      [
        ["here", false],
        ["there", true],
      ],
    );
    await fuseml.ok("workflow", "create", "large.yaml");
    const { code, err } = await fuseml.cli("workflow", "run", "large", "--wait");
    assert.notEqual(code, 0);
    assert.match(err, /1000 processors, and there are/);
  });

  test("a run whose image is not there goes on where it was when the image has come", async () => {
    const registry = await startRegistry();
    const layers = mkdtempSync(join(tmpdir(), "fuseml-layers-"));
    try {
      const image = `${registry.address}/late/image:1`;
      fuseml.directory(".", {
        "late.yaml": `name: late\nsteps:\n  - {name: before, zone: container, image: "${shellImage}", env: [{name: SCRIPT, value: "true"}]}\n  - {name: late, zone: container, image: "${image}"}\n`,
      });
      await fuseml.ok("workflow", "create", "late.yaml");
      const first = await fuseml.cli("workflow", "run", "late", "--wait");
      assert.equal(first.code, 1);
      assert.match(first.err, /late\/image:1 is not there.*\[image.not-found\]/s);
      const mark = await packLayer([{ path: "/mark", text: "late" }], layers);
      const running = { entrypoint: ["/bin/cat", "/mark"], env: {}, user: "", workingDirectory: "/", labels: {} };
      const base = await layerOf(createReadStream(process.env.FUSEML_TEST_BASE ?? "").pipe(createGunzip()), layers);
      await pushImage(
        assemble([base, mark], running),
        { repository: "late/image", tag: "1" },
        { registry: registry.address },
      );
      const [run] = await fuseml.client.call("GET /workflows/runs", { query: { limit: "1" } });
      await fuseml.ok("run", "resume", run?.name ?? "");
      await fuseml.ok("run", "wait", run?.name ?? "");
      const { steps } = await fuseml.client.call("GET /runs/{id}", { params: { id: run?.name ?? "" } });
      assert.deepEqual(
        steps.map(({ name, attempt }) => [name, attempt]),
        [
          ["before", 1],
          ["late", 2],
        ],
      );
    } finally {
      await registry.stop();
      rmSync(layers, { recursive: true, force: true });
    }
  });
});
