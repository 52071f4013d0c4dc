import assert from "node:assert/strict";
import { test } from "node:test";
import type { ModelDescription } from "@fuseml/core/serving/model-signature";
import { chooseLayout } from "./engine.ts";
import { kubernetesName, resourceLimits } from "./parameters.ts";

const model = (flavorDetails: Record<string, Record<string, unknown>>): ModelDescription => ({
  flavors: Object.keys(flavorDetails),
  flavorDetails,
});
const pyfunc = { python_function: {} };
const sklearn = model({ ...pyfunc, sklearn: { pickled_model: "model.pkl", sklearn_version: "1.9.1" } });
const skops = model({ ...pyfunc, sklearn: { pickled_model: "model.skops" } });
const savedModel = model({ ...pyfunc, tensorflow: { saved_model_dir: "tfmodel", model_type: "keras" } });
const onnx = model({ ...pyfunc, onnx: { data: "model.onnx" } });

test("auto takes the engine of the format, as the seeds say", () => {
  assert.deepEqual(chooseLayout("auto", sklearn, "m", []), {
    engine: "sklearn",
    format: "sklearn",
    formatVersion: "1",
  });
  assert.equal(chooseLayout("auto", savedModel, "m", []).engine, "triton");
  assert.equal(chooseLayout("auto", onnx, "m", []).engine, "triton");
  assert.equal(
    chooseLayout("auto", model({ ...pyfunc, tensorflow: { saved_model_dir: "t" } }), "m", []).engine,
    "tensorflow",
  );
});

test("auto serves by MLflow's own format what no other engine can", () => {
  assert.equal(chooseLayout("auto", skops, "m", []).engine, "mlflow");
  assert.equal(chooseLayout("auto", model(pyfunc), "m", []).engine, "mlflow");
});

test("the platform's word counts", () => {
  assert.equal(chooseLayout("auto", sklearn, "m", ["mlflow"]).engine, "mlflow");
  assert.throws(() => chooseLayout("sklearn", sklearn, "m", ["onnx"]), { hint: /does not serve the format sklearn/ });
});

test("layouts are converted where the engine wants another one", () => {
  assert.equal(chooseLayout("sklearn", sklearn, "m", []).conversion, undefined);
  assert.deepEqual(chooseLayout("tensorflow", savedModel, "m", []).conversion, {
    into: "kserve-tensorflow",
    copies: [{ from: "tfmodel/", to: "1/" }],
  });
  assert.deepEqual(chooseLayout("triton", onnx, "m", []).conversion, {
    into: "kserve-triton",
    copies: [{ from: "model.onnx", to: "m/1/model.onnx" }],
  });
});

test("a format that the predictor cannot serve is refused with the reason of each", () => {
  assert.throws(() => chooseLayout("tensorflow", sklearn, "m", []), {
    message: /cannot be served with predictor "tensorflow"/,
    hint: /no TensorFlow saved_model.*auto/,
  });
  assert.throws(() => chooseLayout("sklearn", skops, "m", []), { hint: /saved as model.skops, not as a pickle/ });
  assert.throws(() => chooseLayout("auto", model({ spark: {} }), "m", []), { hint: /no python_function flavor/ });
});

test("names that Kubernetes takes, and resource limits", () => {
  assert.equal(kubernetesName("My_App.v1"), "my-app-v1");
  assert.equal(kubernetesName("x".repeat(80)).length, 63);
  assert.throws(() => kubernetesName("***"), /app_name/);
  assert.deepEqual(resourceLimits("{nvidia.com/gpu: 1, memory: 2Gi}"), { "nvidia.com/gpu": "1", memory: "2Gi" });
  for (const wrong of ["many", "[1]", "{cpu: lots}", "{"])
    assert.throws(() => resourceLimits(wrong), { hint: /cpu: 1/ }, wrong);
});
