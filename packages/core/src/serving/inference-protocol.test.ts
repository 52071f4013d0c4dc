import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromPredictions, nest, parseInferenceRequest, type Tensor, toInvocation } from "./inference-protocol.ts";
import { type ModelSignature, parseModelDescription } from "./model-signature.ts";

const columns: ModelSignature = {
  inputs: [
    { name: "a", type: "double" },
    { name: "b", type: "long" },
  ],
  outputs: [{ type: "double" }],
};
const tensor = (of: Partial<Tensor>): Tensor => ({
  name: "x",
  shape: [2, 2],
  datatype: "FP64",
  data: [1, 2, 3, 4],
  ...of,
});

test("nested and flat data are the same request", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), (rows, width) => {
      const flat = Array.from({ length: rows * width }, (_, n) => n);
      const nested = nest(flat, [rows, width]);
      const parse = (data: unknown) =>
        parseInferenceRequest({ inputs: [{ name: "x", shape: [rows, width], datatype: "INT64", data }] });
      assert.deepEqual(parse(nested), parse(flat));
    }),
  );
});

test("one table goes to the columns of the signature, in its order", () => {
  assert.deepEqual(toInvocation({ inputs: [tensor({})] }, columns), {
    ok: true,
    value: {
      dataframe_split: {
        columns: ["a", "b"],
        data: [
          [1, 2],
          [3, 4],
        ],
      },
    },
  });
});

test("tensors named as columns are columns, in whatever order they come", () => {
  const inputs = [
    tensor({ name: "b", shape: [2, 1], data: [10, 20] }),
    tensor({ name: "a", shape: [2], data: [1, 2] }),
  ];
  assert.deepEqual(toInvocation({ inputs }, columns), {
    ok: true,
    value: {
      dataframe_split: {
        columns: ["b", "a"],
        data: [
          [10, 1],
          [20, 2],
        ],
      },
    },
  });
});

test("without a signature one tensor is an array, several are columns; parameters go along", () => {
  assert.deepEqual(toInvocation({ inputs: [tensor({})], parameters: { t: 1 } }, undefined), {
    ok: true,
    value: {
      inputs: [
        [1, 2],
        [3, 4],
      ],
      params: { t: 1 },
    },
  });
});

test("what does not fit is refused with a sentence", () => {
  const wrong = (inputs: Tensor[]) => {
    const found = toInvocation({ inputs }, columns);
    return found.ok ? "" : found.error;
  };
  assert.match(wrong([tensor({ shape: [1, 3], data: [1, 2, 3] })]), /takes 2 columns \(a, b\), the tensor "x" has 3/);
  assert.match(wrong([tensor({ name: "c", shape: [2], data: [1, 2] })]), /no column "c"/);
  assert.match(
    wrong([tensor({ name: "a", shape: [2], data: [1, 2] }), tensor({ name: "b", shape: [1], data: [1] })]),
    /column "b" must have shape \[2\]/,
  );
  const parse = (body: unknown) => {
    const found = parseInferenceRequest(body);
    return found.ok ? "" : found.error;
  };
  assert.match(parse({}), /"inputs" must be a list/);
  assert.match(
    parse({ inputs: [{ name: "x", shape: [2], datatype: "FLOAT", data: [1, 2] }] }),
    /datatype must be one of/,
  );
  assert.match(
    parse({ inputs: [{ name: "x", shape: [3], datatype: "FP64", data: [1, 2] }] }),
    /has 3 elements, data has 2/,
  );
});

test("predictions become tensors of the declared type, or of what they look like", () => {
  assert.deepEqual(fromPredictions([5, 6], columns), {
    ok: true,
    value: [{ name: "predict", shape: [2], datatype: "FP64", data: [5, 6] }],
  });
  assert.deepEqual(fromPredictions([0, 1], undefined), {
    ok: true,
    value: [{ name: "predict", shape: [2], datatype: "INT64", data: [0, 1] }],
  });
  assert.deepEqual(fromPredictions([[0.1, 0.9]], undefined), {
    ok: true,
    value: [{ name: "predict", shape: [1, 2], datatype: "FP64", data: [0.1, 0.9] }],
  });
  assert.deepEqual(fromPredictions([{ label: "x", score: 1.5 }], undefined), {
    ok: true,
    value: [
      { name: "label", shape: [1], datatype: "BYTES", data: ["x"] },
      { name: "score", shape: [1], datatype: "FP64", data: [1.5] },
    ],
  });
});

test("an MLmodel file tells flavors and signature, of columns and of tensors", () => {
  const text = `flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.7}
  sklearn: {pickled_model: model.pkl}
mlflow_version: 3.17.2
model_id: m-1
signature:
  inputs: '[{"type": "double", "name": "a"}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
`;
  const model = parseModelDescription(text);
  assert.deepEqual(model.flavors, ["python_function", "sklearn"]);
  assert.deepEqual(model.signature, {
    inputs: [{ name: "a", type: "double" }],
    outputs: [{ type: "int64", shape: [-1] }],
  });
  assert.throws(() => parseModelDescription("nothing: here"), /no flavors/);
});
