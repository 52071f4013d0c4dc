import { parse } from "yaml";
import { StepError } from "../step/context.ts";

/** What can be said in pip's words of a conda environment, and what cannot. */
export type CondaTranslation = {
  readonly python?: string;
  readonly requirements: readonly string[];
  /** Packages that pip cannot give, each with the reason. */
  readonly untranslatable: readonly string[];
  /** What was changed on the way. */
  readonly notes: readonly string[];
};

/** Packages that PyPI has under another name. */
const renamed: Readonly<Record<string, string>> = {
  pytorch: "torch",
  "pytorch-cpu": "torch",
  "pytorch-gpu": "torch",
  "py-xgboost": "xgboost",
  "py-opencv": "opencv-python",
  opencv: "opencv-python",
  "matplotlib-base": "matplotlib",
  "dask-core": "dask",
  "python-graphviz": "graphviz",
  "msgpack-python": "msgpack",
  pytables: "tables",
  "tensorflow-mkl": "tensorflow",
  "tensorflow-gpu": "tensorflow",
  ruamel_yaml: "ruamel.yaml",
  typing_extensions: "typing-extensions",
};

/** What is no Python package: compilers, runtimes of other languages, system and GPU libraries. */
const notPython =
  /^(_.*|r|r-.*|cuda.*|cudnn|nccl|gcc.*|gxx.*|clang.*|libgcc.*|libstdcxx.*|lib[a-z0-9-]+|mkl|blas|openblas|openmpi|mpich|nodejs|openjdk|make|cmake|git|curl|wget|openssl|ca-certificates|zlib|bzip2|xz|readline|sqlite|tk|ncurses|ffmpeg|graphviz|pytorch-cuda|pytorch-mutex|cpuonly|sysroot_.*|binutils.*)$/;

/** Tools that every environment has. */
const implied = new Set(["pip", "setuptools", "wheel"]);

/**
 * A conda environment file in pip's words. `name=1.2` means `==1.2.*` in conda; a build string is dropped with a note.
 * @throws StepError when the file is not a conda environment
 */
export function translateConda(text: string, file: string): CondaTranslation {
  let raw: unknown;
  try {
    raw = parse(text.replaceAll("\r\n", "\n"));
  } catch (error) {
    throw new StepError(`${file}: ${(error as Error).message}`);
  }
  const dependencies = (raw as { dependencies?: unknown } | null)?.dependencies;
  if (!Array.isArray(dependencies))
    throw new StepError(`${file} lists no dependencies`, "a conda environment has a list named dependencies");
  let python: string | undefined;
  const requirements: string[] = [];
  const untranslatable: string[] = [];
  const notes: string[] = [];
  for (const entry of dependencies as unknown[]) {
    if (typeof entry === "object" && entry !== null && "pip" in entry) {
      for (const line of (entry as { pip: unknown[] | null }).pip ?? []) requirements.push(String(line));
      continue;
    }
    if (typeof entry !== "string")
      throw new StepError(
        `${file}: ${JSON.stringify(entry)} is not a dependency`,
        "write name=version, or a pip: list",
      );
    const { name, version, build } = splitSpec(entry);
    if (build) notes.push(`${entry}: the build "${build}" has no meaning for pip and is left out`);
    if (name === "python") python = pythonVersion(version);
    else if (implied.has(name)) continue;
    else if (notPython.test(name)) untranslatable.push(`${entry}: not a Python package`);
    else requirements.push(`${renamed[name] ?? name}${pipVersion(version)}`);
  }
  return { ...(python ? { python } : {}), requirements, untranslatable, notes };
}

/** `channel::name=1.2=build`, `name >=1,<2`, `name==1.2`. */
function splitSpec(text: string): { name: string; version: string; build: string | undefined } {
  const plain = text
    .replace(/^[^\s]*::/, "")
    .replace(/\s+#.*$/, "")
    .trim();
  const match = /^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?\s*(.*)$/.exec(plain);
  const [, name = plain, rest = ""] = match ?? [];
  const built = /^=?\s*([^=<>!~,|\s]+)=([^=]+)$/.exec(rest);
  if (built?.[1]) return { name: name.toLowerCase(), version: `=${built[1]}`, build: built[2] };
  return { name: name.toLowerCase(), version: rest, build: undefined };
}

/** conda's version in pip's words. */
function pipVersion(version: string): string {
  const text = version.replaceAll(" ", "");
  if (text === "" || text === "*" || text === "=*") return "";
  if (/^[<>!~]/.test(text) || text.startsWith("==")) return text;
  const exact = text.replace(/^=/, "");
  if (exact.includes(",")) return `==${exact}`;
  return exact.endsWith("*") ? `==${exact.replace(/\.?\*$/, ".*")}` : `==${exact}${text.startsWith("=") ? ".*" : ""}`;
}

function pythonVersion(version: string): string | undefined {
  const text = version
    .replaceAll(" ", "")
    .replace(/^={1,2}/, "")
    .replace(/\.?\*$/, "");
  return text === "" ? undefined : text;
}
