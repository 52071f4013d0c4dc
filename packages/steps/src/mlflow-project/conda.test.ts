import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { translateConda } from "./conda.ts";
import { requirementName, withMlflowInConda } from "./requirements.ts";

const translate = (...dependencies: unknown[]) => translateConda(JSON.stringify({ dependencies }), "conda.yaml");

test("conda's versions in pip's words", () => {
  const of = (entry: string) => translate(entry).requirements[0];
  assert.equal(of("numpy"), "numpy");
  assert.equal(of("numpy=1.19"), "numpy==1.19.*");
  assert.equal(of("numpy==1.19.2"), "numpy==1.19.2");
  assert.equal(of("numpy=1.19.*"), "numpy==1.19.*");
  assert.equal(of("numpy 1.19.2"), "numpy==1.19.2");
  assert.equal(of("numpy>=1.19,<2"), "numpy>=1.19,<2");
  assert.equal(of("conda-forge::xgboost=1.7.*"), "xgboost==1.7.*");
  assert.equal(of("numpy=1.19.2=py38h0"), "numpy==1.19.2.*");
  assert.equal(of("pytorch=2.1"), "torch==2.1.*");
});

test("the Python version, pip's own list, and what every environment has", () => {
  const found = translate("python=3.8.*", "pip", "setuptools", { pip: ["mlflow==2.0", "-r more.txt"] });
  assert.deepEqual(found, {
    python: "3.8",
    requirements: ["mlflow==2.0", "-r more.txt"],
    untranslatable: [],
    notes: [],
  });
  assert.equal(translate("python>=3.8,<3.12").python, ">=3.8,<3.12");
});

test("what is no Python package is named, a build string is noted", () => {
  const found = translate("cudatoolkit=11.3", "gcc_linux-64", "r-base", "libgomp", "scikit-learn=1.2=py_0");
  assert.equal(found.untranslatable.length, 4);
  assert.match(found.untranslatable[0] ?? "", /cudatoolkit=11.3: not a Python package/);
  assert.match(found.notes[0] ?? "", /build "py_0"/);
});

test("a file that is no conda environment is refused", () => {
  assert.throws(() => translateConda("name: x", "conda.yaml"), /conda.yaml lists no dependencies/);
  assert.throws(() => translateConda("a: b: c", "conda.yaml"), /conda.yaml/);
  assert.throws(() => translate(7), /7 is not a dependency/);
});

test("no dependency text makes the translation throw, and none is lost without a word", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const found = translate(`pkg${text.replaceAll(/[\s]/g, "")}`);
      assert.equal(found.requirements.length + found.untranslatable.length, 1);
    }),
  );
});

test("for a conda tool, MLflow and boto3 are added to the pip list once", () => {
  const added = JSON.parse(withMlflowInConda("dependencies: [python=3.11, {pip: [mlflow==3.1]}]", "c")) as {
    dependencies: unknown[];
  };
  assert.deepEqual(added.dependencies, ["python=3.11", "pip", { pip: ["mlflow==3.1", "boto3"] }]);
});

test("the name of a requirement", () => {
  assert.equal(requirementName("MLflow[extras]>=2 ; python_version<'4'"), "mlflow");
  assert.equal(requirementName("ruamel.yaml==1"), "ruamel-yaml");
  assert.equal(requirementName("-r x.txt"), "");
});
