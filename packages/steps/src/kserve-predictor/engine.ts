import type { ModelDescription } from "@fuseml/core/serving/model-signature";
import { StepError } from "../step/context.ts";

/** KServe predictor engines that the step knows. The first three are the seeds'. */
export const engines = ["sklearn", "tensorflow", "triton", "xgboost", "lightgbm", "mlflow"] as const;
export type Engine = (typeof engines)[number];

/** How the files of a model must lie for an engine. Paths are relative to the model's directory. */
export type Layout = {
  readonly engine: Engine;
  /** KServe's name of the format. */
  readonly format: string;
  readonly formatVersion?: string;
  /** The model as it is, or the sub-directory for the converted copy and what goes where in it. */
  readonly conversion?: {
    readonly into: string;
    readonly copies: readonly { readonly from: string; readonly to: string }[];
  };
};

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
const majorMinor = (version: string | undefined): string | undefined => /^\d+(\.\d+)?/.exec(version ?? "")?.[0];

/** Each engine's layout for a model, or why it cannot serve it. */
const layouts: Readonly<Record<Engine, (model: ModelDescription, name: string) => Layout | string>> = {
  sklearn: ({ flavorDetails }) => {
    const flavor = flavorDetails.sklearn;
    if (!flavor) return "it was not saved with mlflow.sklearn";
    const file = text(flavor.pickled_model) ?? "model.pkl";
    if (!/\.(pkl|pickle|joblib)$/.test(file)) {
      return `it is saved as ${file}, not as a pickle: log it with serialization_format="cloudpickle", or use predictor: auto`;
    }
    const layout: Layout = {
      engine: "sklearn",
      format: "sklearn",
      ...version(majorMinor(text(flavor.sklearn_version))),
    };
    return file.includes("/")
      ? { ...layout, conversion: { into: "kserve-sklearn", copies: [{ from: file, to: "model.pkl" }] } }
      : layout;
  },
  tensorflow: ({ flavorDetails }) => {
    const directory = savedModel(flavorDetails.tensorflow);
    if (!directory) return "it holds no TensorFlow saved_model";
    return {
      engine: "tensorflow",
      format: "tensorflow",
      conversion: { into: "kserve-tensorflow", copies: [{ from: `${directory}/`, to: "1/" }] },
    };
  },
  triton: ({ flavorDetails }, name) => {
    const directory = savedModel(flavorDetails.tensorflow);
    if (directory) return triton("tensorflow", [{ from: `${directory}/`, to: `${name}/1/model.savedmodel/` }]);
    const file = text(flavorDetails.onnx?.data);
    if (file) return triton("onnx", [{ from: file, to: `${name}/1/model.onnx` }]);
    return "it is neither a TensorFlow saved_model nor an ONNX model";
  },
  xgboost: ({ flavorDetails }) => {
    const flavor = flavorDetails.xgboost;
    if (!flavor) return "it was not saved with mlflow.xgboost";
    return {
      engine: "xgboost",
      format: "xgboost",
      conversion: { into: "kserve-xgboost", copies: [{ from: text(flavor.data) ?? "model.xgb", to: "model.bst" }] },
    };
  },
  lightgbm: ({ flavorDetails }) => {
    const flavor = flavorDetails.lightgbm;
    if (!flavor) return "it was not saved with mlflow.lightgbm";
    return {
      engine: "lightgbm",
      format: "lightgbm",
      conversion: { into: "kserve-lightgbm", copies: [{ from: text(flavor.data) ?? "model.lgb", to: "model.bst" }] },
    };
  },
  mlflow: ({ flavors }) =>
    flavors.includes("python_function") ? { engine: "mlflow", format: "mlflow" } : "it has no python_function flavor",
};

const version = (formatVersion: string | undefined): { formatVersion?: string } =>
  formatVersion ? { formatVersion: formatVersion.split(".")[0] ?? "" } : {};
const triton = (format: string, copies: { from: string; to: string }[]): Layout => ({
  engine: "triton",
  format,
  conversion: { into: "kserve-triton", copies },
});

/** The directory of a TensorFlow saved_model, when the flavor has one (newer Keras files are none). */
function savedModel(flavor: Readonly<Record<string, unknown>> | undefined): string | undefined {
  if (!flavor) return undefined;
  const direct = text(flavor.saved_model_dir);
  if (direct) return direct;
  return text(flavor.save_format) === "tf" || flavor.save_format === undefined
    ? text(flavor.data)
      ? `${text(flavor.data)}/model`
      : undefined
    : undefined;
}

/** In which order `auto` tries the engines for what a model was saved with. */
function preference({ flavorDetails }: ModelDescription): readonly Engine[] {
  if (flavorDetails.sklearn) return ["sklearn", "mlflow"];
  if (flavorDetails.xgboost) return ["xgboost", "mlflow"];
  if (flavorDetails.lightgbm) return ["lightgbm", "mlflow"];
  if (flavorDetails.onnx) return ["triton", "mlflow"];
  if (flavorDetails.tensorflow)
    return flavorDetails.keras || flavorDetails.tensorflow.model_type === "keras"
      ? ["triton", "tensorflow", "mlflow"]
      : ["tensorflow", "triton", "mlflow"];
  return ["mlflow"];
}

/**
 * The layout by which a model will be served: what was asked for, or for `auto` the best that the platform takes.
 * @param supported formats that the platform says it serves; empty when it does not say
 * @throws StepError that says why each engine cannot
 */
export function chooseLayout(
  asked: Engine | "auto",
  model: ModelDescription,
  name: string,
  supported: readonly string[],
): Layout {
  const candidates = asked === "auto" ? preference(model) : [asked];
  const reasons: string[] = [];
  for (const engine of candidates) {
    const layout = layouts[engine](model, name);
    if (typeof layout === "string") reasons.push(`${engine}: ${layout}`);
    else if (supported.length > 0 && !supported.includes(layout.format))
      reasons.push(`${engine}: the platform does not serve the format ${layout.format}`);
    else return layout;
  }
  throw new StepError(
    `the model (flavors: ${model.flavors.join(", ")}) cannot be served ${asked === "auto" ? "" : `with predictor "${asked}"`}`.trim(),
    `${reasons.join("; ")}${asked === "auto" ? "" : "; predictor: auto chooses one that can"}`,
  );
}
