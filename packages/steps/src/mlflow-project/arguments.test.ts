import assert from "node:assert/strict";
import { test } from "node:test";
import { callArguments, parseArguments, selectEntryPoint } from "./arguments.ts";
import type { EntryPoint, MlflowProject } from "./project-file.ts";

const main: EntryPoint = {
  command: "c",
  parameters: {
    epochs: { type: "int", default: 2 },
    rate: { type: "float", default: 0.1 },
    data_path: { type: "path" },
  },
};

test("arguments are separated by commas or spaces; both may stand inside a value", () => {
  assert.deepEqual(parseArguments("epochs=2,batch_size=64"), { epochs: "2", batch_size: "64" });
  assert.deepEqual(parseArguments("epochs=2 batch_size=64"), { epochs: "2", batch_size: "64" });
  assert.deepEqual(parseArguments("epochs=2, layers=1,2,3 name='a b'"), { epochs: "2", layers: "1,2,3", name: "a b" });
  assert.deepEqual(parseArguments("url=s3://b/x?a=1"), { url: "s3://b/x?a=1" });
  assert.deepEqual(parseArguments(""), {});
  assert.throws(() => parseArguments("epochs"), /"epochs" is not name=value/);
});

test("explicit arguments win over workflow inputs of the same name; unknown inputs are not passed", () => {
  const inputs = { epochs: "5", "data-path": "/d", predictor: "auto" };
  assert.deepEqual(callArguments(main, "main", { epochs: "9" }, inputs), { epochs: "9", data_path: "/d" });
});

test("an argument that the entry point lacks is refused with those it has", () => {
  assert.throws(() => callArguments(main, "main", { epoch: "1", data_path: "x" }, {}), {
    message: /no parameter "epoch"/,
    hint: 'did you mean "epochs"?',
  });
  assert.throws(() => callArguments(main, "main", { zzz: "1", data_path: "x" }, {}), {
    hint: "its parameters: epochs, rate, data_path",
  });
});

test("a value of the wrong type and a missing value are refused", () => {
  assert.throws(
    () => callArguments(main, "main", { epochs: "many", data_path: "x" }, {}),
    /"epochs" is of type int, and "many" is not/,
  );
  assert.throws(() => callArguments(main, "main", {}, {}), {
    message: /"data_path".*has no default/,
    hint: /data_path=VALUE/,
  });
});

test("an entry point that is not there is told with those that are", () => {
  const project: MlflowProject = {
    file: "MLproject",
    name: "",
    environment: { kind: "none" },
    entryPoints: { main, validate: main },
  };
  assert.equal(selectEntryPoint(project, "main"), main);
  assert.throws(() => selectEntryPoint(project, "train"), {
    message: /no entry point "train"/,
    hint: /main, validate|did you mean "main"/,
  });
});
