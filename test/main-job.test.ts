/** The main job on real input: MLflow, a model, a prediction equal to the library's own. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { commandLines, Fuseml, until } from "./support/fuseml.ts";

const minutes = 60_000;
type Tensors = {
  model_version: string;
  outputs: { name: string; datatype: string; shape: number[]; data: number[] }[];
};

describe("from a fresh server to a served model", { timeout: 9 * minutes }, () => {
  let fuseml: Fuseml;
  let url = "";
  before(async () => {
    fuseml = await Fuseml.start();
  });
  after(() => fuseml.dispose());

  const request = readFileSync(new URL("../examples/requests/wines.json", import.meta.url), "utf8");
  async function predict(): Promise<Tensors> {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: request,
    });
    assert.equal(response.status, 200, await response.clone().text());
    return (await response.json()) as Tensors;
  }

  test("install, register, push, create, assign: the run serves the model", async () => {
    await fuseml.ok("extension", "install", "mlflow");
    await fuseml.ok("extension", "install", "kserve");
    await fuseml.ok("project", "create", "workspace");
    fuseml.copy("examples", "examples");
    const pushed = await fuseml.ok(
      "codeset",
      "register",
      "examples/codesets/wines",
      "-p",
      "workspace",
      "--label",
      "mlflow",
    );
    assert.match(pushed, /Published code:\/\/workspace\/wines\/[0-9a-f]{40}/);
    await fuseml.ok("workflow", "create", "examples/workflows/mlflow-e2e.yaml");
    const { code, err } = await fuseml.cli(
      "workflow",
      "assign",
      "-n",
      "mlflow-e2e",
      "-p",
      "workspace",
      "-c",
      "wines",
      "--wait",
    );
    assert.equal(code, 0, err);
    const [application] = JSON.parse(await fuseml.ok("application", "list", "-o", "json")) as {
      url: string;
      type: string;
      workflow: string;
    }[];
    assert.equal(application?.type, "predictor");
    assert.equal(application?.workflow, "mlflow-e2e");
    url = application.url;
  });

  test("the prediction is the library's own", async () => {
    const { outputs } = await predict();
    const environments = join(fuseml.dataDir, "environments");
    const models = join(fuseml.dataDir, "models");
    const own = execFileSync(
      join(environments, environmentWith(environments, "scikit-learn"), "bin", "python"),
      [
        "-c",
        "import json, sys, mlflow.sklearn, pandas as pd\nfrom sklearn.datasets import load_wine\nmodel = mlflow.sklearn.load_model(sys.argv[1])\nrows = json.loads(sys.argv[2])['inputs'][0]['data']\nprint(json.dumps(model.predict(pd.DataFrame(rows, columns=load_wine().feature_names)).tolist()))",
        join(models, readdirSync(models)[0] ?? ""),
        request,
      ],
      { encoding: "utf8" },
    );
    assert.deepEqual(outputs, [{ name: "predict", shape: [2], datatype: "INT64", data: JSON.parse(own) }]);
  });

  test("model metadata and readiness by the protocol; a wrong request is refused with a sentence", async () => {
    const base = url.replace(/\/infer$/, "");
    const metadata = (await (await fetch(base)).json()) as { inputs: { name: string; datatype: string }[] };
    assert.deepEqual(metadata.inputs[0], { name: "alcohol", datatype: "FP64", shape: [-1] });
    assert.equal((await fetch(`${base}/ready`)).status, 200);
    const wrong = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ inputs: [{ name: "x", shape: [1, 2], datatype: "FP64", data: [1, 2] }] }),
    });
    assert.equal(wrong.status, 400);
    assert.match(((await wrong.json()) as { message: string }).message, /takes 13 columns/);
  });

  test("a changed hyperparameter is pushed with git: a new run reuses the environment, the same URL serves the new model, no request fails", async () => {
    const copy = join(fuseml.home, "clone");
    await fuseml.git(fuseml.home, "clone", "--quiet", `${fuseml.url}/git/workspace/wines.git`, copy);
    const project = readFileSync(join(copy, "MLproject"), "utf8");
    writeFileSync(join(copy, "MLproject"), project.replace("default: 1.0", "default: 0.2"));
    await fuseml.git(copy, "commit", "--quiet", "-am", "less regularization");
    const before = await predict();

    const asking = new AbortController();
    const answers = { ok: 0, failed: [] as string[] };
    const load = (async () => {
      while (!asking.signal.aborted) {
        await predict().then(
          () => {
            answers.ok += 1;
          },
          (error: Error) => answers.failed.push(error.message),
        );
        await pause(20);
      }
    })();
    await fuseml.git(copy, "push", "--quiet");
    const [run] = await fuseml.client.call("GET /workflows/runs", { query: {} });
    assert.equal(run?.cause.type, "published");
    const waited = await fuseml.cli("run", "wait", run.name);
    asking.abort();
    await load;
    assert.equal(waited.code, 0, waited.err);
    assert.deepEqual(answers.failed, []);
    assert.ok(answers.ok > 10, `only ${answers.ok} answers`);

    const after = await predict();
    assert.notEqual(after.model_version, before.model_version);
    assert.match(await fuseml.ok("run", "logs", run.name, "builder"), /is there: the requirements did not change/);
    assert.match(await fuseml.ok("run", "logs", run.name, "trainer"), /--regularization 0.2/);
    const lineage = await fuseml.ok("application", "lineage", "workspace-wines-mlflow-e2e");
    assert.match(
      lineage,
      /^code:\/\/workspace\/wines\/[0-9a-f]{7} → run_\w+ → model:\/\/workspace\/wines\/m-\w+ → application .* \(revision 2\)\n$/,
    );
  });

  test("no secret is in a log, in an answer of the API, in an argument or in the database", async () => {
    const { run: mlflow } = await storeCredentials(fuseml);
    assert.ok(mlflow.length >= 2);
    const runs = await fuseml.client.call("GET /workflows/runs", { query: {} });
    const texts = [
      JSON.stringify(await fuseml.client.call("GET /extensions", {})),
      ...(await Promise.all(runs.map((run) => fuseml.ok("run", "logs", run.name)))),
      ...(await Promise.all(runs.map((run) => fuseml.ok("run", "explain", run.name, "-o", "json")))),
      ...(await Promise.all(runs.map((run) => fuseml.ok("run", "env", run.name, "trainer")))),
      ...commandLines(),
      readFileSync(join(fuseml.dataDir, "fuseml.db"), "latin1"),
      readFileSync(join(fuseml.dataDir, "server.log"), "utf8"),
    ];
    for (const secret of mlflow)
      for (const [index, text] of texts.entries()) assert.ok(!text.includes(secret), `text ${index}`);
  });

  test("MLflow 2 keeps its models elsewhere, arguments come as parameters, conda files are translated", async () => {
    fuseml.directory("second", {
      MLProject:
        "name: second\nconda_env: conda.yaml\nentry_points:\n  main:\n    command: python no-such-file.py\n  fit:\n    parameters: {depth: int, share: 0.5}\n    command: python fit.py {depth} {share}\n",
      "conda.yaml":
        "dependencies:\n  - python=3\n  - scikit-learn\n  - cudatoolkit\n  - pip: [mlflow==2.22.2, 'setuptools<81']\n",
      "fit.py":
        "import sys, mlflow, mlflow.sklearn\nfrom sklearn.datasets import load_iris\nfrom sklearn.tree import DecisionTreeClassifier\nx, y = load_iris(return_X_y=True)\nwith mlflow.start_run():\n    mlflow.log_metric('depth', float(sys.argv[1]))\n    mlflow.sklearn.log_model(DecisionTreeClassifier(max_depth=int(sys.argv[1]), random_state=0).fit(x, y), 'tree')\n",
    });
    await fuseml.ok("codeset", "register", "second", "-p", "workspace");
    const workflow = readFileSync(join(fuseml.home, "examples/workflows/mlflow-e2e.yaml"), "utf8");
    const trainerInputs = `    inputs:
      - {name: mlflow_entrypoint, value: fit}
      - {name: mlflow_entrypoint_args, value: "share=0.25"}
      - {name: mlflow_artifact_path, value: tree}
      - {name: mlflow_experiment, value: trees}
`;
    const second = workflow
      .replace("name: mlflow-e2e", "name: second")
      .replace(
        "  - name: predictor\n    description",
        "  - {name: depth, type: integer, default: 3}\n  - name: predictor\n    description",
      )
      .replace(
        'image: "{{ steps.builder.outputs.image }}"\n    inputs:\n',
        `image: "{{ steps.builder.outputs.image }}"\n${trainerInputs}`,
      );
    fuseml.directory(".", { "second.yaml": second });
    await fuseml.ok("workflow", "create", "second.yaml");
    const { code, out, err } = await fuseml.cli(
      "workflow",
      "run",
      "second",
      "--codeset",
      "workspace/second",
      "-i",
      "depth=2",
      "--wait",
    );
    assert.equal(code, 0, out + err);
    const id = /run_\w+/.exec(out)?.[0] ?? "";
    const run = await fuseml.client.call("GET /runs/{id}", { params: { id } });
    assert.match(
      run.steps[1]?.outputs["mlflow-model-url"] ?? "",
      /^s3:\/\/mlflow\/\d+\/[0-9a-f]{32}\/artifacts\/tree$/,
    );
    assert.match(
      await fuseml.ok("run", "logs", id, "builder"),
      /WARNING: cudatoolkit: not a Python package; it is left out/,
    );
    assert.match(await fuseml.ok("run", "logs", id, "trainer"), /-P depth=2 -P share=0.25, experiment trees/);
    const [output] = run.outputs;
    const answer = await fetch(output?.value ?? "", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        inputs: [{ name: "x", shape: [2, 4], datatype: "FP64", data: [5.1, 3.5, 1.4, 0.2, 6.3, 3.3, 6.0, 2.5] }],
      }),
    });
    assert.deepEqual(((await answer.json()) as Tensors).outputs[0]?.data, [0, 2]);
  });

  test("a format that the predictor cannot serve, and an entry point that is missing: why, and what there is", async () => {
    const models = await fuseml.client.call("GET /artifacts", { query: { kind: "model", name: "wines" } });
    const environments = join(fuseml.dataDir, "environments");
    const image = `fuseml.local/mlflow/trainer:${environmentWith(environments, "scikit-learn")}`;
    const step = (name: string, of: string, inputs: string, extensions: string) =>
      `name: ${name}\ninputs: [{name: code, type: codeset}]\nsteps:\n  - name: only\n    image: ${of}\n    inputs: [${inputs}]\n    outputs: [{name: url}]\n    extensions: [${extensions}]\n`;
    const s3 = "{name: store, service_resource: s3}, {name: kserve, service_resource: kserve-api}";
    const code = '{name: code, codeset: {name: "{{ inputs.code }}", path: /project}}';
    fuseml.directory(".", {
      "tf.yaml": step(
        "tf",
        "ghcr.io/fuseml/kserve-predictor:latest",
        `${code}, {name: model, value: "${models[0]?.location}"}, {name: predictor, value: tensorflow}`,
        s3,
      ),
      "entry.yaml": step("entry", `"${image}"`, `${code}, {name: mlflow_entrypoint, value: validate}`, s3),
    });
    for (const [name, message, hint] of [
      [
        "tf",
        /cannot be served with predictor "tensorflow"/,
        /it holds no TensorFlow saved_model; predictor: auto chooses one that can/,
      ],
      ["entry", /MLproject has no entry point "validate"/, /entry points: main/],
    ] as const) {
      await fuseml.ok("workflow", "create", `${name}.yaml`);
      const { code: exit, err } = await fuseml.cli("workflow", "run", name, "--codeset", "workspace/wines", "--wait");
      assert.equal(exit, 1);
      assert.match(err, message);
      assert.match(err, hint);
    }
  });

  test("requirements that do not install: pip's own words, and nothing half-made is kept", async () => {
    const environments = join(fuseml.dataDir, "environments");
    const before = readdirSync(environments).sort();
    fuseml.directory("broken", {
      MLproject: "entry_points: {main: {command: python a.py}}\n",
      "requirements.txt": "no-such-package-of-fuseml==9.9.9\n",
    });
    await fuseml.ok("codeset", "register", "broken", "-p", "workspace");
    const { code, err } = await fuseml.cli("workflow", "run", "mlflow-e2e", "--codeset", "workspace/broken", "--wait");
    assert.equal(code, 1);
    assert.match(err, /no-such-package-of-fuseml/);
    assert.match(err, /nothing half-made was kept/);
    assert.deepEqual(readdirSync(environments).sort(), before);
  });

  test("a training script that fails: its last lines, and what served before goes on serving", async () => {
    const copy = join(fuseml.home, "clone");
    writeFileSync(join(copy, "train.py"), "print('loading')\nraise SystemExit('the data is gone')\n");
    await fuseml.git(copy, "commit", "--quiet", "-am", "broken");
    await fuseml.git(copy, "push", "--quiet");
    const [run] = await fuseml.client.call("GET /workflows/runs", { query: {} });
    assert.equal((await fuseml.cli("run", "wait", run?.name ?? "")).code, 1);
    const shown = await fuseml.ok("run", "get", run?.name ?? "");
    assert.match(shown, /Status\s+Failed: step "trainer" failed with exit code 1 \[step.failed\]/);
    assert.match(shown, /the data is gone/);
    assert.match(shown, /predictor\s+Skipped/);
    await predict();
  });

  test("after a crash of the server the model is served again, and stopping leaves no process behind", async () => {
    await fuseml.crash();
    await fuseml.startServer();
    await until(
      "the model answers",
      async () =>
        (await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: request })).ok,
      60_000,
    );
    await fuseml.ok("application", "delete", "workspace-wines-mlflow-e2e");
    assert.equal(
      (await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: request })).status,
      404,
    );
    await fuseml.ok("server", "stop");
    const left = commandLines().filter((line) => line.includes(fuseml.dataDir));
    assert.deepEqual(left, []);
  });
});

/** The directory of an environment whose lock names a package. */
function environmentWith(environments: string, name: string): string {
  const found = readdirSync(environments).find(
    (entry) =>
      /^[0-9a-f]{16}$/.test(entry) &&
      readFileSync(join(environments, entry, "environment.json"), "utf8").includes(
        `"requested": "mlflow==3.17.2\\n${name}`,
      ),
  );
  assert.ok(found, "no environment was made for the example");
  return found;
}

/** The store's real credentials, from the environment of its process. */
async function storeCredentials(fuseml: Fuseml): Promise<{ run: string[] }> {
  const { pid } = JSON.parse(readFileSync(join(fuseml.dataDir, "processes/extension-mlflow-store.json"), "utf8")) as {
    pid: number;
  };
  const env = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  return {
    run: env.filter((entry) => /^NANIO_.*_KEY=/.test(entry)).map((entry) => entry.slice(entry.indexOf("=") + 1)),
  };
}
