/** What existing FuseML clients rely on: paths, parameters, payloads and statuses of the original REST API. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import { Fuseml, shellWorkflow, until } from "./support/fuseml.ts";

describe("the original client's requests", { timeout: 120_000 }, () => {
  let fuseml: Fuseml;
  before(async () => {
    fuseml = await Fuseml.start();
  });
  after(() => fuseml.dispose());

  /** A raw request: also with a body where fetch allows none. */
  function send(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const sent = request(
        fuseml.url + path,
        {
          method,
          headers: text ? { "content-type": "application/json", "content-length": Buffer.byteLength(text) } : {},
        },
        (answer) => {
          let received = "";
          answer.on("data", (chunk) => {
            received += chunk;
          });
          answer.on("end", () =>
            resolve({ status: answer.statusCode ?? 0, body: received ? JSON.parse(received) : undefined }),
          );
        },
      );
      sent.on("error", reject);
      sent.end(text);
    });
  }

  test("projects", async () => {
    assert.equal((await send("POST", "/projects?name=p&description=d")).status, 201);
    assert.equal((await send("POST", "/projects?name=p")).status, 409);
    assert.deepEqual(
      ((await send("GET", "/projects/p")).body as { name: string; description: string; users: unknown[] }).users,
      [],
    );
    assert.equal((await send("GET", "/projects/none")).status, 404);
  });

  test("a codeset answers with its URL, a user and a password, and can be cloned at once", async () => {
    const { status, body } = await send(
      "POST",
      "/codesets?name=c&project=p&description=d&labels=mlflow&labels=sklearn",
    );
    assert.equal(status, 201);
    const { codeset, username, password } = body as {
      codeset: { url: string; labels: string[] };
      username: string;
      password: string;
    };
    assert.deepEqual(codeset.labels, ["mlflow", "sklearn"]);
    assert.equal(username, "fuseml-p");
    assert.ok(password.length >= 16);
    const url = new URL(codeset.url);
    url.username = username;
    url.password = password;
    const copy = fuseml.directory("copy", {});
    await fuseml.git(fuseml.home, "clone", "--quiet", codeset.url, "copy");
    assert.match(await fuseml.git(copy, "log", "--oneline", "main"), /empty codeset/);
    fuseml.directory("copy", { "a.txt": "1" });
    await fuseml.git(copy, "add", ".");
    await fuseml.git(copy, "commit", "--quiet", "-m", "first");
    await fuseml.git(copy, "push", "--quiet", url.href, "main");
    assert.equal(((await send("GET", "/codesets?project=p&label=mlflow")).body as unknown[]).length, 1);
    assert.equal(((await send("GET", "/codesets?project=&label=")).body as unknown[]).length, 1);
    assert.equal(((await send("GET", "/projects/p")).body as { users: unknown[] }).users.length, 1);
  });

  test("workflows, assignments and runs", async () => {
    const workflow = {
      name: "w",
      description: "d",
      inputs: [{ name: "code", type: "codeset", description: "" }],
      outputs: [{ name: "url", type: "string", description: "" }],
      steps: [
        {
          name: "a",
          image: "test/shell:1",
          inputs: [{ name: "code", codeset: { name: "{{ inputs.code }}", path: "/project" } }],
          outputs: [{ name: "url" }],
          env: [{ name: "SCRIPT", value: 'printf "http://{{ inputs.code.name }}" > "$FUSEML_RESULTS_DIR/url"' }],
        },
      ],
    };
    assert.equal((await send("POST", "/workflows", workflow)).status, 201);
    assert.equal((await send("POST", "/workflows", workflow)).status, 409);
    assert.equal((await send("POST", "/workflows", { ...workflow, steps: [] })).status, 400);
    assert.equal((await send("POST", "/workflows/assignments?name=w&codesetProject=p&codesetName=none")).status, 404);
    assert.equal((await send("POST", "/workflows/assignments?name=w&codesetProject=p&codesetName=c")).status, 201);
    assert.equal((await send("POST", "/workflows/assignments?name=w&codesetProject=p&codesetName=c")).status, 201);
    const assignments = (await send("GET", "/workflows/assignments?name=w")).body as {
      workflow: string;
      codesets: { name: string }[];
      status: { available: boolean };
    }[];
    assert.deepEqual(
      assignments.map((of) => [of.workflow, of.codesets.map((codeset) => codeset.name), of.status.available]),
      [["w", ["c"], true]],
    );

    type Run = {
      name: string;
      workflowRef: string;
      status: string;
      inputs: { input: { name: string }; value: string }[];
      outputs: { output: { name: string }; value: string }[];
      startTime: string;
      completionTime: string;
    };
    const runs = async (query = "") =>
      (await send("GET", `/workflows/runs?name=w&codesetProject=p&codesetName=c${query}`)).body as Run[];
    await until("the run has ended", async () => (await runs())[0]?.status === "Succeeded");
    const [run, another] = await runs("&status=Succeeded");
    assert.equal(another, undefined, "assigning twice started one run");
    assert.equal(run?.workflowRef, "w");
    assert.match(run?.inputs[0]?.value ?? "", /\/git\/p\/c\.git:[0-9a-f]{40}$/);
    assert.deepEqual(run?.outputs, [{ output: { name: "url" }, value: "http://c" }]);
    assert.ok(Date.parse(run?.completionTime ?? "") >= Date.parse(run?.startTime ?? ""));
    assert.deepEqual(await runs("&status=Failed"), []);
    assert.equal((await send("GET", "/workflows/runs?status=Nonsense")).status, 400);
  });

  test("a pushed commit starts one run, the same commit no second one", async () => {
    const copy = fuseml.directory("copy", { "a.txt": "2" });
    await fuseml.git(copy, "commit", "--quiet", "-am", "second");
    await fuseml.git(copy, "push", "--quiet", "origin", "main");
    await fuseml.git(copy, "push", "--quiet", "origin", "main");
    const found = (await send("GET", "/workflows/runs?name=w")).body as { name: string }[];
    assert.equal(found.length, 2);
  });

  test("unassigning and deleting: 204; deleting a workflow removes its assignments", async () => {
    assert.equal((await send("DELETE", "/workflows/assignments/w?codesetProject=p&codesetName=c")).status, 204);
    assert.equal((await send("DELETE", "/workflows/assignments/w?codesetProject=p&codesetName=c")).status, 404);
    await send("POST", "/workflows/assignments?name=w&codesetProject=p&codesetName=c");
    assert.equal((await send("DELETE", "/workflows/w")).status, 204);
    assert.deepEqual((await send("GET", "/workflows/assignments")).body, []);
    assert.equal((await send("DELETE", "/codesets/p/c")).status, 204);
    assert.equal((await send("DELETE", "/projects/p")).status, 204);
  });

  test("extensions with services, endpoints and credentials; secrets are never shown", async () => {
    const extension = {
      id: "my-mlflow",
      product: "mlflow",
      version: "1.19",
      services: [
        {
          id: "tracking",
          resource: "mlflow-tracking",
          endpoints: [
            { url: "http://mlflow", type: "external", configuration: { MLFLOW_TRACKING_URI: "http://mlflow" } },
          ],
        },
      ],
    };
    assert.equal((await send("POST", "/extensions", extension)).status, 201);
    assert.equal((await send("POST", "/extensions", extension)).status, 409);
    assert.equal(((await send("GET", "/extensions", { product: "mlflow" })).body as unknown[]).length, 1);
    assert.equal(((await send("GET", "/extensions", { product: "none" })).body as unknown[]).length, 0);
    const credentials = await send("POST", "/extensions/my-mlflow/services/tracking/credentials", {
      id: "k",
      scope: "global",
      configuration: { PASSWORD: "open sesame" },
    });
    assert.equal(credentials.status, 201);
    assert.deepEqual((credentials.body as { configuration: unknown }).configuration, { PASSWORD: "<hidden>" });
    const url = encodeURIComponent("http://mlflow");
    assert.equal(
      (await send("PUT", `/extensions/my-mlflow/services/tracking/endpoints/${url}`, { type: "internal" })).status,
      200,
    );
    assert.equal(
      ((await send("GET", `/extensions/my-mlflow/services/tracking/endpoints/${url}`)).body as { type: string }).type,
      "internal",
    );
    assert.doesNotMatch(JSON.stringify((await send("GET", "/extensions/my-mlflow")).body), /sesame/);
    assert.equal((await send("DELETE", `/extensions/my-mlflow/services/tracking/endpoints/${url}`)).status, 204);
    assert.equal((await send("DELETE", "/extensions/my-mlflow/services/tracking")).status, 204);
    assert.equal((await send("DELETE", "/extensions/my-mlflow")).status, 204);
    assert.equal((await send("GET", "/extensions/my-mlflow")).status, 404);
  });

  test("applications and runnables", async () => {
    const application = {
      name: "a",
      type: "predictor",
      description: "",
      url: "http://a",
      workflow: "w",
      k8s_namespace: "n",
      k8s_resources: [{ name: "a", kind: "InferenceService" }],
    };
    assert.equal((await send("POST", "/applications", application)).status, 201);
    assert.equal((await send("POST", "/applications", { ...application, url: "http://b" })).status, 201);
    assert.equal(((await send("GET", "/applications/a")).body as { url: string }).url, "http://b");
    assert.equal(((await send("GET", "/applications?type=predictor&workflow=w")).body as unknown[]).length, 1);
    assert.equal((await send("DELETE", "/applications/a/")).status, 204);
    const runnable = { id: "trainer-1", kind: "trainer", container: { image: "x" }, labels: { library: "sklearn" } };
    assert.equal((await send("POST", "/runnables", runnable)).status, 201);
    assert.equal(
      ((await send("GET", "/runnables?id=trainer.*&kind=trainer&labels=library:sk.*")).body as unknown[]).length,
      1,
    );
    assert.equal(((await send("GET", "/runnables?kind=builder")).body as unknown[]).length, 0);
    assert.equal((await send("GET", "/runnables/none")).status, 404);
    assert.ok(((await send("GET", "/version")).body as { version: string }).version);
  });

  test("the API describes itself: every path of the original is there", async () => {
    const { openapi, paths, components } = (await send("GET", "/openapi.json")).body as {
      openapi: string;
      paths: Record<string, Record<string, unknown>>;
      components: { schemas: Record<string, unknown> };
    };
    assert.equal(openapi, "3.1.0");
    const text = JSON.stringify(paths);
    for (const [, name = ""] of text.matchAll(/#\/components\/schemas\/(\w+)/g))
      assert.ok(components.schemas[name], `no schema ${name}`);
    for (const [path, methods] of [
      ["/applications", "get post"],
      ["/applications/{name}", "get delete"],
      ["/codesets", "get post"],
      ["/codesets/{project}/{name}", "get delete"],
      ["/extensions", "get post"],
      ["/extensions/{id}", "get put delete"],
      ["/extensions/{extension_id}/services/{service_id}/credentials/{id}", "get put delete"],
      ["/projects", "get post"],
      ["/projects/{name}", "get delete"],
      ["/runnables", "get post"],
      ["/runnables/{id}", "get"],
      ["/version", "get"],
      ["/workflows", "get post"],
      ["/workflows/{name}", "get put delete"],
      ["/workflows/assignments", "get post"],
      ["/workflows/assignments/{name}", "delete"],
      ["/workflows/runs", "get"],
    ] as const) {
      for (const method of methods.split(" ")) assert.ok(paths[path]?.[method], `${method} ${path}`);
    }
  });

  test("a workflow that is updated runs its new version; a run keeps the one that it ran", async () => {
    await fuseml.ok("project", "create", "q");
    fuseml.directory(".", { "v.yaml": shellWorkflow("v", { a: "echo one" }) });
    await fuseml.ok("workflow", "create", "v.yaml");
    await fuseml.ok("workflow", "run", "v", "--wait");
    fuseml.directory(".", { "v.yaml": shellWorkflow("v", { a: "echo two" }) });
    assert.match(await fuseml.ok("workflow", "update", "v.yaml"), /version 2/);
    assert.match(await fuseml.ok("workflow", "update", "v.yaml"), /version 2/);
    await fuseml.ok("workflow", "run", "v", "--wait");
    const runs = await fuseml.client.call("GET /workflows/runs", { query: { name: "v" } });
    assert.deepEqual(
      runs.map((run) => run.workflowVersion),
      [2, 1],
    );
    assert.equal(await fuseml.ok("run", "logs", runs[1]?.name ?? "", "a"), "one\n");
  });

  test("an assignment to code://* takes every codeset, and a push that touches only README starts nothing", async () => {
    const workflow = shellWorkflow("watch", { a: "cat src/train.py" }, { codeset: true }).replace(
      "type: codeset}",
      'type: codeset, changes: ["src/**"]}',
    );
    fuseml.directory(".", { "watch.yaml": workflow });
    await fuseml.ok("workflow", "create", "watch.yaml");
    assert.match(await fuseml.ok("workflow", "assign", "watch", "-i", "code=code://*"), /No run was started/);
    fuseml.directory("one", { "src/train.py": "print(1)\n" });
    fuseml.directory("two", { "src/train.py": "print(2)\n" });
    await fuseml.ok("codeset", "push", "one", "-p", "q", "--wait");
    await fuseml.ok("codeset", "push", "two", "-p", "r", "--wait");
    const runs = () => fuseml.client.call("GET /workflows/runs", { query: { name: "watch" } });
    assert.deepEqual(
      (await runs()).map((run) => [run.project, run.status]),
      [
        ["r", "Succeeded"],
        ["q", "Succeeded"],
      ],
    );
    fuseml.directory("one", { "README.md": "hello" });
    assert.match(await fuseml.ok("codeset", "push", "one", "-p", "q", "--wait"), /Published/);
    assert.equal((await runs()).length, 2);
    fuseml.directory("one", { "src/train.py": "print(3)\n" });
    await fuseml.ok("codeset", "push", "one", "-p", "q", "--wait");
    const [newest] = await runs();
    assert.equal((await runs()).length, 3);
    assert.equal(await fuseml.ok("run", "logs", newest?.name ?? "", "a"), "print(3)\n");
  });
});
