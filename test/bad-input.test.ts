/** Bad input gets a clear error with a stable code, and nothing half-made remains. */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Fuseml, shellWorkflow, until } from "./support/fuseml.ts";

describe("bad input", { timeout: 120_000 }, () => {
  let fuseml: Fuseml;
  before(async () => {
    fuseml = await Fuseml.start();
    await fuseml.ok("project", "create", "p");
    fuseml.directory("code", { "a.txt": "1" });
    await fuseml.ok("codeset", "register", "code", "-p", "p");
  });
  after(() => fuseml.dispose());

  /** Creates a workflow that is wrong. @returns what the command says */
  async function refused(text: string): Promise<string> {
    fuseml.directory(".", { "bad.yaml": text });
    const { code, out, err } = await fuseml.cli("workflow", "create", "bad.yaml");
    assert.equal(code, 2, out + err);
    assert.deepEqual(await fuseml.client.call("GET /workflows", { query: {} }), []);
    return err;
  }

  test("a wrong definition: file, line, column, what is wrong, what is right, the code", async () => {
    assert.match(await refused("name: w\nsteps: [\n"), /^error: bad.yaml:\d+:\d+: .*\n.*\n {4}\[yaml.syntax\]/);
    assert.match(
      await refused("name: w\nstps: []\nsteps: [{name: a, image: x}]\n"),
      /bad.yaml:2:1: unknown field "stps"\n {4}did you mean "steps"\?\n {4}\[workflow.unknown-field\]/,
    );
    assert.match(
      await refused('name: w\nsteps:\n  - {name: a, image: "{{ steps.b.outputs.o }}"}\n'),
      /bad.yaml:3:26: there is no step "b"/,
    );
    assert.match(await refused("name: w\nsteps: [{name: a, image: x}, {name: a, image: y}]\n"), /two steps named "a"/);
  });

  test("every fault of a definition is told at once", async () => {
    const said = await refused(
      'name: w\nsteps:\n  - {name: a, image: "{{ inputs.x }}"}\n  - {name: a, image: "{{ steps.c.outputs.o }}"}\n',
    );
    for (const code of ["unknown-input", "duplicate-step", "unknown-step"])
      assert.match(said, new RegExp(`workflow.${code}`));
  });

  test("a selector that nothing matches names step, selector and place", async () => {
    const said = await refused(
      "name: w\nsteps:\n  - name: a\n    image: test/shell:1\n    extensions:\n      - {name: store, product: mlflow, service_resource: s3}\n",
    );
    assert.match(
      said,
      /bad.yaml:6:\d+: step "a" asks for extension "store", which nothing registered matches: wanted product=mlflow, service_resource=s3; no extension is registered/,
    );
    assert.match(said, /fuseml extension install/);
  });

  test("the same faults over the API are problems with upstream's members", async () => {
    const response = await fetch(`${fuseml.url}/workflows`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "w", steps: [{ name: "a", image: "{{ inputs.x }}" }] }),
    });
    assert.equal(response.status, 400);
    assert.equal(response.headers.get("content-type"), "application/problem+json; charset=utf-8");
    const problem = (await response.json()) as Record<string, unknown> & { errors: { code: string; path: string }[] };
    assert.equal(problem.code, "workflow.invalid");
    assert.equal(problem.name, "BadRequest");
    assert.equal(problem.message, 'the workflow has no input "x"');
    assert.equal(problem.fault, false);
    assert.deepEqual(
      problem.errors.map(({ code, path }) => [code, path]),
      [["workflow.unknown-input", "steps[0].image"]],
    );
  });

  test("a body that is no JSON, a wrong query, an unknown path", async () => {
    const broken = await fetch(`${fuseml.url}/workflows`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{",
    });
    assert.equal(broken.status, 400);
    assert.match(((await broken.json()) as { message: string }).message, /not JSON/);
    const query = await fetch(`${fuseml.url}/projects?name=a%20b`, { method: "POST" });
    assert.equal(query.status, 400);
    assert.equal(((await query.json()) as { field: string }).field, "query.name");
    assert.equal((await fetch(`${fuseml.url}/nothing`)).status, 404);
  });

  test("an image without a recipe is refused before a run exists, saying what to do", async () => {
    fuseml.directory(".", { "img.yaml": "name: img\nsteps: [{name: a, image: 'docker.io/acme/train:1'}]\n" });
    await fuseml.ok("workflow", "create", "img.yaml");
    const { code, err } = await fuseml.cli("workflow", "run", "img");
    assert.equal(code, 2);
    assert.match(
      err,
      /step "a": this machine runs no containers and has no recipe for image "docker.io\/acme\/train:1"\n {4}.*host-recipes.yaml/,
    );
    assert.deepEqual(await fuseml.client.call("GET /workflows/runs", { query: {} }), []);
    await fuseml.ok("workflow", "delete", "img");
  });

  test("run inputs: unknown, missing, of the wrong type", async () => {
    fuseml.directory(".", {
      "in.yaml":
        "name: in\ninputs: [{name: epochs, type: integer}]\nsteps: [{name: a, image: 'test/shell:1', env: [{name: SCRIPT, value: 'true'}]}]\n",
    });
    await fuseml.ok("workflow", "create", "in.yaml");
    const said = async (...args: string[]) => (await fuseml.cli("workflow", "run", "in", ...args)).err;
    assert.match(await said("-i", "epoch=1"), /no input "epoch"\n {4}did you mean "epochs"\?/);
    assert.match(await said(), /input "epochs".*no default.*\n {4}give one: --input epochs=VALUE/);
    assert.match(await said("-i", "epochs=many"), /of type integer, and "many" is not/);
    await fuseml.ok("workflow", "delete", "in");
  });

  test("a codeset without MLproject, an entry point that is missing, an argument that it lacks", async () => {
    const builder = "ghcr.io/fuseml/mlflow-builder:v0.3.0";
    fuseml.directory(".", {
      "build.yaml": `name: build\ninputs: [{name: code, type: codeset}]\nsteps:\n  - name: builder\n    image: ${builder}\n    inputs: [{name: code, codeset: {name: "{{ inputs.code }}", path: /project}}]\n    outputs: [{name: image}]\n`,
    });
    await fuseml.ok("workflow", "create", "build.yaml");
    const { code, err } = await fuseml.cli("workflow", "run", "build", "--codeset", "p/code", "--wait");
    assert.equal(code, 1);
    assert.match(err, /has no MLproject file in its root directory/);
    assert.match(err, /found: a.txt/);
    await fuseml.ok("workflow", "delete", "build");
  });

  test("names that do not exist: what, and where to look; the exit code is 3", async () => {
    for (const args of [
      ["run", "get", "run_none"],
      ["workflow", "get", "none"],
      ["codeset", "get", "none", "-p", "p"],
      ["application", "get", "none"],
      ["extension", "get", "none"],
      ["project", "get", "none"],
      ["runnable", "get", "none"],
    ]) {
      const { code, err } = await fuseml.cli(...args);
      assert.equal(code, 3, args.join(" "));
      assert.match(err, /does not exist\n {4}list them with: fuseml \w+ list\n {4}\[\w+\.not-found\]/, args.join(" "));
    }
  });

  test("twice the same name is a conflict; the exit code is 4", async () => {
    assert.equal((await fuseml.cli("project", "create", "p")).code, 4);
    assert.equal((await fuseml.cli("codeset", "register", "code", "-p", "p")).code, 4);
    assert.match((await fuseml.cli("project", "delete", "p")).err, /still has codesets: code/);
  });

  test("a push with a wrong password is refused, and nothing is published", async () => {
    const copy = join(fuseml.home, "copy");
    const before = await fuseml.client.call("GET /artifacts", { query: {} });
    await fuseml.git(fuseml.home, "clone", "--quiet", `${fuseml.url}/git/p/code.git`, copy);
    writeFileSync(join(copy, "b.txt"), "2");
    await fuseml.git(copy, "add", ".");
    await fuseml.git(copy, "commit", "--quiet", "-m", "two");
    const header = `http.extraHeader=Authorization: Basic ${Buffer.from("fuseml-p:changeme").toString("base64")}`;
    await assert.rejects(fuseml.git(copy, "-c", header, "push", "--quiet"), /Authentication failed|could not read|401/);
    assert.deepEqual(await fuseml.client.call("GET /artifacts", { query: {} }), before);
  });

  test("wrong usage: the exit code is 2, the near command is named", async () => {
    const { code, err } = await fuseml.cli("workfow", "list");
    assert.equal(code, 2);
    assert.match(err, /Did you mean workflow\?/);
  });

  test("no server: what to start, exit code 5", async () => {
    const { code, err } = await fuseml.cli("--url", "http://127.0.0.1:9", "project", "list");
    assert.equal(code, 5);
    assert.match(
      err,
      /no FuseML server answers at http:\/\/127.0.0.1:9 \(.*\)\n {4}start one with: fuseml server start/,
    );
  });

  test("a port in use: which, and what to do; nothing is left running", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    try {
      const { code, err } = await fuseml.cli(
        "server",
        "start",
        "--port",
        String(port),
        "--data-dir",
        join(fuseml.home, "other"),
      );
      assert.equal(code, 5);
      assert.match(
        err,
        new RegExp(
          `port ${port} is in use by another program\n {4}.*FUSEML_PORT=${port + 1}\n {4}\\[server.port-in-use\\]`,
        ),
      );
    } finally {
      other.close();
    }
  });

  test("a second server on the same data is refused", async () => {
    const { code, err } = await fuseml.run(process.execPath, [
      new URL("../packages/server/src/main.ts", import.meta.url).pathname,
    ]);
    assert.equal(code, 4);
    assert.match(err, /already uses/);
  });

  test("a workflow that breaks on a step keeps what came before, and says why the rest did not run", async () => {
    fuseml.directory(".", {
      "steps.yaml": shellWorkflow("steps", { one: "echo fine", two: "echo bad; exit 3", three: "true" }),
    });
    await fuseml.ok("workflow", "create", "steps.yaml");
    const { code, out, err } = await fuseml.cli("workflow", "run", "steps", "--wait");
    assert.equal(code, 1);
    assert.match(err, /step "two" failed with exit code 3 \[step.failed\]/);
    const id = /run_\w+/.exec(out)?.[0] ?? "";
    const explained = await fuseml.ok("run", "explain", id);
    assert.match(explained, /step one: Succeeded\nstep two: Failed\n.*\nstep three: Skipped, because step two failed/);
  });

  test("a full disk is said to be full, nothing half-made remains, and with room the same works", async (t) => {
    // a file of fixed size as the disk: the only real way to fill one without filling the machine's own
    const [image, small] = [join(fuseml.home, "small.img"), join(fuseml.home, "small")];
    const mounted = await fuseml.run("sh", [
      "-c",
      `truncate -s 8M ${image} && mkfs.ext2 -q -F -m 0 ${image} && mkdir ${small} && mount -o loop ${image} ${small}`,
    ]);
    if (mounted.code !== 0) return t.skip(`this machine cannot mount a file: ${mounted.err}`);
    const data = join(small, "data");
    const filler = join(small, "filler");
    const fill = () => fuseml.run("sh", ["-c", `cat /dev/zero > ${filler}; sync; true`]);
    try {
      mkdirSync(data);
      cpSync(join(fuseml.dataDir, "host-recipes.yaml"), join(data, "host-recipes.yaml"));
      const { out, code } = await fuseml.cli("server", "start", "--port", "0", "--data-dir", data);
      assert.equal(code, 0, out);
      const url = /http:\S+/.exec(out)?.[0] ?? "";
      fuseml.directory(".", {
        "patient.yaml": shellWorkflow("patient", { a: 'while [ ! -e "$HOME/go" ]; do sleep 0.1; done', b: "echo b" }),
      });
      await fuseml.ok("--url", url, "workflow", "create", "patient.yaml");
      const id = /run_\w+/.exec(await fuseml.ok("--url", url, "workflow", "run", "patient"))?.[0] ?? "";
      await fill();
      const full = await fuseml.cli("--url", url, "codeset", "register", "code", "-p", "full");
      assert.equal(full.code, 1);
      assert.match(full.err, /the disk is full|No space left/);
      // a step ends while hardly anything can be written: the server lives, and the run comes to an end that says why
      fuseml.directory(".", { go: "" });
      await until("step a is over", () => existsSync(join(data, "segments", `${id}.1`, "a", "exit")));
      assert.equal((await fetch(`${url}/runs/${id}`)).status, 200);
      await fuseml.run("rm", [filler]);
      const { code: result } = await fuseml.cli("--url", url, "run", "wait", id);
      if (result !== 0) assert.match(await fuseml.ok("--url", url, "run", "get", id), /disk\.full|step\.vanished/);
      assert.equal((await fuseml.cli("--url", url, "workflow", "run", "patient", "--wait")).code, 0);
      await fuseml.ok("--url", url, "codeset", "register", "code", "-p", "full");
      fuseml.env.FUSEML_DATA_DIR = data;
      await fuseml.ok("server", "stop");
      await fill();
      const start = await fuseml.cli("server", "start", "--port", "0", "--data-dir", join(small, "new"));
      assert.equal(start.code, 1);
      assert.match(start.err, /the disk is full: .* could not be written\n {4}free some space/);
    } finally {
      fuseml.env.FUSEML_DATA_DIR = data;
      await fuseml.cli("server", "stop");
      fuseml.env.FUSEML_DATA_DIR = fuseml.dataDir;
      await fuseml.run("umount", [small]);
    }
  });

  test("messages are for people: none holds a stack trace", () => {
    assert.doesNotMatch(readFileSync(join(fuseml.dataDir, "server.log"), "utf8"), /"code":"internal"/);
  });
});
