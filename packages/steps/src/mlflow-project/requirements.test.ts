import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fingerprint } from "@fuseml/environments/store";
import { readProject } from "./project-file.ts";
import { projectRequirements } from "./requirements.ts";

const made: string[] = [];
after(() => {
  for (const directory of made) rmSync(directory, { recursive: true, force: true });
});

function codeset(files: Record<string, string>): string {
  const directory = mkdtempSync(join(tmpdir(), "fuseml-test-"));
  made.push(directory);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return directory;
}
const main = "entry_points: {main: {command: python a.py}}\n";
const of = (files: Record<string, string>, strict = false) => {
  const directory = codeset(files);
  return projectRequirements(readProject(directory), directory, { strict, path: "" });
};

test("a codeset without an MLproject file is told what it has instead", () => {
  assert.throws(() => readProject(codeset({ "train.py": "" })), {
    message: /has no MLproject file/,
    hint: /found: train.py/,
  });
});

test("both spellings of the file's name", () => {
  assert.equal(readProject(codeset({ MLProject: main })).file, "MLProject");
});

test("MLflow and boto3 are added unless they are named", () => {
  const found = of({ MLproject: main, "requirements.txt": "# comment\nMLflow>=2\nnumpy  # why\n" });
  assert.deepEqual(found.request.requirements, ["MLflow>=2", "numpy", "boto3"]);
  assert.equal(found.from, "requirements.txt");
});

test("included files are put in their place, constraints count by content", () => {
  const files = {
    MLproject: `python_env: env/python_env.yaml\n${main}`,
    "env/python_env.yaml": "python: '3.11'\ndependencies: [-r base.txt]\n",
    "env/base.txt": "numpy\n-c limits.txt\n",
    "env/limits.txt": "numpy<3\n",
  };
  const found = of(files);
  assert.equal(found.request.python, "3.11");
  assert.equal(found.request.requirements[0], "numpy");
  assert.match(found.request.requirements[1] ?? "", /^-c .*limits.txt$/);
  assert.deepEqual(found.request.files, { "limits.txt": "numpy<3\n" });
});

test("a requirement that leads out of the codeset, or to nothing, is refused", () => {
  assert.throws(() => of({ MLproject: main, "requirements.txt": "-r ../../etc/passwd\n" }), /leads out of the codeset/);
  assert.throws(
    () => of({ MLproject: main, "requirements.txt": "-r more.txt\n" }),
    /names more.txt, which is not in the codeset/,
  );
});

test("without a conda tool a conda file is translated, with a warning; strict makes what is lost an error", () => {
  const files = {
    MLproject: `conda_env: conda.yaml\n${main}`,
    "conda.yaml": "dependencies: [python=3.11, numpy=1.26, cudatoolkit, {pip: [mlflow]}]\n",
  };
  const found = of(files);
  assert.equal(found.request.python, "3.11");
  assert.deepEqual(found.request.requirements, ["numpy==1.26.*", "mlflow", "boto3"]);
  assert.match(found.warnings.join("\n"), /translated for pip[\s\S]*cudatoolkit: not a Python package; it is left out/);
  assert.throws(() => of(files, true), { message: /cudatoolkit/, hint: /set strict to false/ });
});

test("docker_env is refused with what to use instead", () => {
  assert.throws(() => of({ MLproject: `docker_env: {image: x}\n${main}` }), {
    message: /docker_env/,
    hint: /python_env or conda_env/,
  });
});

test("a Python version that YAML took for a number is told", () => {
  assert.throws(() => of({ MLproject: `python_env: {python: 3.10, dependencies: []}\n${main}` }), {
    message: /a number/,
    hint: /quotes/,
  });
});

test("the fingerprint depends on what is asked for, not on order, comments or blank lines", () => {
  const request = (requirements: string[], python?: string) =>
    fingerprint({ requirements, ...(python ? { python } : {}) });
  assert.equal(request(["a", "b>=1"]), request(["b>=1", "", "a", "# c"]));
  assert.notEqual(request(["a"]), request(["a==1"]));
  assert.notEqual(request(["a"]), request(["a"], "3.11"));
});
