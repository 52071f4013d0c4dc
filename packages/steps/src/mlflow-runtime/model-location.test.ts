import assert from "node:assert/strict";
import { test } from "node:test";
import { locateArtifact, type ProjectRun } from "./model-location.ts";

const run = (of: Partial<ProjectRun>): ProjectRun => ({
  run_id: "r1",
  experiment_id: "1",
  artifact_uri: "s3://b/1/r1/artifacts",
  metrics: {},
  models: [],
  artifacts: [],
  mlflow_version: "3",
  ...of,
});
const logged = (id: string, name: string) => ({ id, name, location: `s3://b/1/models/${id}/artifacts` });

test("MLflow 3 keeps models outside the run: the newest of the asked name", () => {
  const of = run({ models: [logged("m-1", "model"), logged("m-2", "model"), logged("m-3", "other")] });
  assert.deepEqual(locateArtifact(of, undefined), { url: "s3://b/1/models/m-2/artifacts", version: "m-2" });
  assert.deepEqual(locateArtifact(of, "other"), { url: "s3://b/1/models/m-3/artifacts", version: "m-3" });
  assert.equal(locateArtifact(of, "model/data").url, "s3://b/1/models/m-2/artifacts/data");
});

test("MLflow 2 keeps them below the run", () => {
  const of = run({
    artifacts: [
      { path: "model", directory: true },
      { path: "plots", directory: true },
    ],
  });
  assert.deepEqual(locateArtifact(of, undefined), { url: "s3://b/1/r1/artifacts/model", version: "r1" });
  assert.equal(locateArtifact(of, "plots/roc.png").url, "s3://b/1/r1/artifacts/plots/roc.png");
});

test("the only model serves when no name was asked for", () => {
  assert.equal(locateArtifact(run({ models: [logged("m-1", "classifier")] }), undefined).version, "m-1");
});

test("nothing at the path: what there is instead", () => {
  assert.throws(() => locateArtifact(run({ models: [logged("m-1", "a")] }), "model"), {
    hint: /model a; set mlflow_artifact_path/,
  });
  assert.throws(() => locateArtifact(run({}), undefined), { hint: /must log a model/ });
});
