import { flagParameter, parameter, type StepContext, StepError } from "../step/context.ts";

/** What the seeds let a workflow say about the build. Absent: not given. */
export type BuilderParameters = {
  readonly registry?: string;
  readonly pullRegistry?: string;
  readonly repository: string;
  readonly minicondaVersion?: string;
  readonly baseImage?: string;
  readonly verbose: boolean;
  readonly compressedCaching: boolean;
  readonly strict: boolean;
};

const patterns = {
  registry: { pattern: /^[A-Za-z0-9.-]+(:\d+)?$/, like: "a host name with or without a port" },
  pull_registry: { pattern: /^[A-Za-z0-9.-]+(:\d+)?$/, like: "a host name with or without a port" },
  miniconda_version: { pattern: /^[A-Za-z0-9._-]+$/, like: "an image tag" },
  base_image: { pattern: /^[a-z0-9][A-Za-z0-9._/:@-]*$/, like: "an image name" },
  repository: {
    pattern: /^[a-z0-9]+([._/-][a-z0-9]+)*$/,
    like: "a repository name: lower case letters, digits, -, _, . and /",
  },
} as const;

/** Reads and checks every parameter of the step. @throws StepError for one that is wrong */
export function builderParameters(context: StepContext): BuilderParameters {
  const read = (name: keyof typeof patterns): string | undefined => {
    const value = parameter(context, name);
    const { pattern, like } = patterns[name];
    if (value !== undefined && !pattern.test(value))
      throw new StepError(`parameter "${name}" is "${value}", which is not ${like}`);
    return value;
  };
  const given = {
    registry: read("registry"),
    pullRegistry: read("pull_registry"),
    minicondaVersion: read("miniconda_version"),
    baseImage: read("base_image"),
  };
  return {
    ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<
      typeof given
    > as object),
    repository: read("repository") ?? "mlflow/trainer",
    verbose: flagParameter(context, "verbose"),
    compressedCaching: flagParameter(context, "compressed_caching"),
    strict: flagParameter(context, "strict"),
  };
}
