import { parse } from "yaml";

/** One column or tensor of an MLflow model signature. */
export type SignatureField = {
  readonly name?: string;
  /** MLflow's column type (`double`, `long`, `string`, …) or NumPy dtype of a tensor. */
  readonly type: string;
  /** Of a tensor; -1 is any length. */
  readonly shape?: readonly number[];
};

export type ModelSignature = {
  readonly inputs: readonly SignatureField[];
  readonly outputs: readonly SignatureField[];
};

/** What an `MLmodel` file says of a model, as far as serving needs it. */
export type ModelDescription = {
  /** Flavor names, `python_function` among them when MLflow can serve it. */
  readonly flavors: readonly string[];
  readonly flavorDetails: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly pythonVersion?: string;
  readonly mlflowVersion?: string;
  readonly modelId?: string;
  readonly runId?: string;
  readonly signature?: ModelSignature;
};

type RawField = { name?: string; type: string; "tensor-spec"?: { dtype: string; shape: number[] } };

const fields = (json: unknown): SignatureField[] =>
  typeof json !== "string"
    ? []
    : (JSON.parse(json) as RawField[]).map((raw) => ({
        ...(raw.name === undefined ? {} : { name: raw.name }),
        type: raw["tensor-spec"]?.dtype ?? raw.type,
        ...(raw["tensor-spec"] ? { shape: raw["tensor-spec"].shape } : {}),
      }));

/** Reads an `MLmodel` file. @throws when it is not YAML or not of an MLflow model */
export function parseModelDescription(text: string): ModelDescription {
  const raw: unknown = parse(text);
  if (typeof raw !== "object" || raw === null || !("flavors" in raw))
    throw new Error("the MLmodel file names no flavors");
  const file = raw as {
    flavors: Record<string, Record<string, unknown>>;
    mlflow_version?: string;
    model_id?: string;
    model_uuid?: string;
    run_id?: string;
    signature?: { inputs?: unknown; outputs?: unknown };
  };
  const pythonVersion = file.flavors.python_function?.python_version;
  const modelId = file.model_id ?? file.model_uuid;
  return {
    flavors: Object.keys(file.flavors),
    flavorDetails: file.flavors,
    ...(typeof pythonVersion === "string" ? { pythonVersion } : {}),
    ...(file.mlflow_version ? { mlflowVersion: String(file.mlflow_version) } : {}),
    ...(modelId ? { modelId } : {}),
    ...(file.run_id ? { runId: file.run_id } : {}),
    ...(file.signature
      ? { signature: { inputs: fields(file.signature.inputs), outputs: fields(file.signature.outputs) } }
      : {}),
  };
}
