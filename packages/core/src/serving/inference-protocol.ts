/**
 * Open Inference Protocol v2 (REST) on one side, the MLflow scoring server on the other.
 * Pure translation: what cannot be translated is refused with a sentence that says why.
 * Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md; MLflow "scoring server" docs.
 */
import { err, ok, type Result } from "../result.ts";
import type { ModelSignature, SignatureField } from "./model-signature.ts";

export const tensorTypes = [
  "BOOL",
  "UINT8",
  "UINT16",
  "UINT32",
  "UINT64",
  "INT8",
  "INT16",
  "INT32",
  "INT64",
  "FP16",
  "FP32",
  "FP64",
  "BYTES",
] as const;
export type TensorType = (typeof tensorTypes)[number];
export type Scalar = number | string | boolean | null;

export type Tensor = {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: TensorType;
  /** Row-major; flat or nested. */
  readonly data: readonly unknown[];
};

export type InferenceRequest = {
  readonly id?: string;
  readonly inputs: readonly Tensor[];
  readonly parameters?: Readonly<Record<string, unknown>>;
};
export type InferenceResponse = {
  readonly model_name: string;
  readonly model_version?: string;
  readonly id?: string;
  readonly outputs: readonly Tensor[];
};

/** The body of `POST /invocations`. */
export type Invocation =
  | {
      readonly dataframe_split: { readonly columns: readonly string[]; readonly data: readonly (readonly unknown[])[] };
      readonly params?: unknown;
    }
  | { readonly inputs: unknown; readonly params?: unknown };

/** Reads a v2 request. The error is a sentence for the caller. */
export function parseInferenceRequest(body: unknown): Result<InferenceRequest, string> {
  if (typeof body !== "object" || body === null) return err("the body must be a JSON object with inputs");
  const { inputs, id, parameters } = body as Record<string, unknown>;
  if (!Array.isArray(inputs) || inputs.length === 0) return err('"inputs" must be a list of at least one tensor');
  const tensors: Tensor[] = [];
  for (const [index, input] of inputs.entries()) {
    const tensor = input as Partial<Tensor> | null;
    const where = `inputs[${index}]`;
    if (typeof tensor !== "object" || tensor === null) return err(`${where} must be a tensor`);
    if (typeof tensor.name !== "string") return err(`${where} has no name`);
    if (!Array.isArray(tensor.shape) || !tensor.shape.every((n) => Number.isInteger(n) && n >= 0)) {
      return err(`${where} ("${tensor.name}"): shape must be a list of non-negative integers`);
    }
    if (!tensorTypes.includes(tensor.datatype as TensorType)) {
      return err(`${where} ("${tensor.name}"): datatype must be one of ${tensorTypes.join(", ")}`);
    }
    if (!Array.isArray(tensor.data)) return err(`${where} ("${tensor.name}"): data must be a list`);
    const data = (tensor.data as unknown[]).flat(Number.POSITIVE_INFINITY);
    const expected = tensor.shape.reduce((product: number, n: number) => product * n, 1);
    if (data.length !== expected) {
      return err(
        `${where} ("${tensor.name}"): shape [${tensor.shape}] has ${expected} elements, data has ${data.length}`,
      );
    }
    tensors.push({ name: tensor.name, shape: tensor.shape, datatype: tensor.datatype as TensorType, data });
  }
  return ok({
    inputs: tensors,
    ...(typeof id === "string" ? { id } : {}),
    ...(typeof parameters === "object" && parameters !== null
      ? { parameters: parameters as Record<string, unknown> }
      : {}),
  });
}

/**
 * A v2 request as the MLflow scoring server wants it.
 * Tensors named as the signature's columns are columns; one two-dimensional tensor is a table in the signature's order;
 * anything else for a model of tensors, or without a signature, is passed as arrays.
 */
export function toInvocation(
  request: InferenceRequest,
  signature: ModelSignature | undefined,
): Result<Invocation, string> {
  const params = request.parameters && Object.keys(request.parameters).length > 0 ? { params: request.parameters } : {};
  const columns = (signature?.inputs ?? []).filter((field) => field.shape === undefined);
  const names = columns.map((field) => field.name).filter((name) => name !== undefined);
  const [first] = request.inputs;
  if (!first) return err('"inputs" is empty');

  if (names.length > 0) {
    if (request.inputs.every((tensor) => names.includes(tensor.name))) return fromColumns(request.inputs, params);
    if (request.inputs.length === 1 && first.shape.length === 2) {
      const width = first.shape[1] ?? 0;
      if (width !== names.length) {
        return err(
          `the model takes ${names.length} columns (${names.join(", ")}), the tensor "${first.name}" has ${width}`,
        );
      }
      return ok({ dataframe_split: { columns: names, data: rows(first) }, ...params });
    }
    const unknown = request.inputs.map((tensor) => tensor.name).filter((name) => !names.includes(name));
    return err(
      `the model has no column ${unknown.map((name) => `"${name}"`).join(", ")}; its columns: ${names.join(", ")}`,
    );
  }
  if (request.inputs.length === 1) return ok({ inputs: nest(first.data, first.shape), ...params });
  const tensors = signature?.inputs.some((field) => field.shape !== undefined);
  if (tensors)
    return ok({ inputs: Object.fromEntries(request.inputs.map((t) => [t.name, nest(t.data, t.shape)])), ...params });
  return fromColumns(request.inputs, params);
}

function fromColumns(tensors: readonly Tensor[], params: { params?: unknown }): Result<Invocation, string> {
  const length = tensors[0]?.shape[0] ?? 0;
  for (const tensor of tensors) {
    const [height, ...others] = tensor.shape;
    if (height !== length || others.some((n) => n !== 1)) {
      return err(`column "${tensor.name}" must have shape [${length}] or [${length}, 1], not [${tensor.shape}]`);
    }
  }
  const data = Array.from({ length }, (_, row) => tensors.map((tensor) => tensor.data[row]));
  return ok({ dataframe_split: { columns: tensors.map((tensor) => tensor.name), data }, ...params });
}

const rows = (tensor: Tensor): (readonly unknown[])[] => nest(tensor.data, tensor.shape) as (readonly unknown[])[];

/** Flat row-major data as nested lists of a shape. */
export function nest(data: readonly unknown[], shape: readonly number[]): unknown {
  const [length = 0, ...inner] = shape;
  if (inner.length === 0) return data.slice(0, length);
  const stride = inner.reduce((product, n) => product * n, 1);
  return Array.from({ length }, (_, index) => nest(data.slice(index * stride, (index + 1) * stride), inner));
}

/** The answer of the scoring server as v2 tensors: records become one tensor a column, arrays one tensor. */
export function fromPredictions(
  predictions: unknown,
  signature: ModelSignature | undefined,
): Result<readonly Tensor[], string> {
  if (!Array.isArray(predictions)) {
    if (typeof predictions === "object" && predictions !== null) {
      return ok(
        Object.entries(predictions).map(([name, value]) =>
          tensorOf(name, Array.isArray(value) ? value : [value], field(signature, name)),
        ),
      );
    }
    return ok([tensorOf("predict", [predictions], signature?.outputs[0])]);
  }
  const [first] = predictions as unknown[];
  if (typeof first === "object" && first !== null && !Array.isArray(first)) {
    const records = predictions as Record<string, unknown>[];
    return ok(
      Object.keys(first).map((name) =>
        tensorOf(
          name,
          records.map((record) => record[name]),
          field(signature, name),
        ),
      ),
    );
  }
  return ok([tensorOf(signature?.outputs[0]?.name ?? "predict", predictions, signature?.outputs[0])]);
}

const field = (signature: ModelSignature | undefined, name: string): SignatureField | undefined =>
  signature?.outputs.find((candidate) => candidate.name === name);

function tensorOf(name: string, value: readonly unknown[], declared: SignatureField | undefined): Tensor {
  const shape: number[] = [];
  for (let level: unknown = value; Array.isArray(level); level = level[0]) shape.push(level.length);
  const data = value.flat(Number.POSITIVE_INFINITY) as unknown[];
  return { name, shape, datatype: datatypeOf(data, declared), data };
}

const declaredTypes: Readonly<Record<string, TensorType>> = {
  boolean: "BOOL",
  bool: "BOOL",
  integer: "INT32",
  int32: "INT32",
  long: "INT64",
  int64: "INT64",
  float: "FP32",
  float32: "FP32",
  double: "FP64",
  float64: "FP64",
  string: "BYTES",
  object: "BYTES",
  binary: "BYTES",
  int8: "INT8",
  int16: "INT16",
  uint8: "UINT8",
  uint16: "UINT16",
  uint32: "UINT32",
  uint64: "UINT64",
  float16: "FP16",
};

/** MLflow's type name as a v2 datatype. */
export const datatypeOfColumn = (type: string): TensorType => declaredTypes[type] ?? "BYTES";

function datatypeOf(data: readonly unknown[], declared: SignatureField | undefined): TensorType {
  const known = declared && declaredTypes[declared.type];
  if (known) return known;
  if (data.every((value) => typeof value === "boolean")) return "BOOL";
  if (data.every((value) => typeof value === "number")) return data.every(Number.isInteger) ? "INT64" : "FP64";
  return "BYTES";
}

/** Model metadata as `GET /v2/models/NAME` gives it. */
export function modelMetadata(
  name: string,
  versions: readonly string[],
  signature: ModelSignature | undefined,
): object {
  const tensors = (fields: readonly SignatureField[], fallback: string) =>
    fields.map((entry, index) => ({
      name: entry.name ?? (index === 0 ? fallback : `${fallback}-${index}`),
      datatype: datatypeOfColumn(entry.type),
      shape: entry.shape ?? [-1],
    }));
  return {
    name,
    versions,
    platform: "mlflow",
    inputs: tensors(signature?.inputs ?? [], "input"),
    outputs: tensors(signature?.outputs ?? [], "predict"),
  };
}
