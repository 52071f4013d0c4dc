import { runTool, ToolFailure } from "@fuseml/environments/command";
import { StepError } from "../../step/context.ts";
import { hintFor } from "./engine-builder.ts";
import type { ImageBuild, ImageBuilder } from "./image-builder.ts";

/** A tool that builds images: the commands that build and push, in order. */
export type BuildTool = {
  readonly name: string;
  commands(build: ImageBuild): readonly (readonly string[])[];
};

const argFlags = (flag: string, args: ImageBuild["args"]): string[] =>
  // the value stays out of the command line: the tools take it from the environment
  Object.keys(args).flatMap((name) => [flag, name]);

/** Buildah, without a daemon. */
export const buildah: BuildTool = {
  name: "buildah",
  commands: ({ context, file, name, args, insecure }) => [
    [
      "buildah",
      "bud",
      "--isolation=chroot",
      "--network=host",
      "--pull-never=false",
      `--tls-verify=${!insecure}`,
      ...argFlags("--build-arg", args),
      "--file",
      `${context}/${file}`,
      "--tag",
      name,
      context,
    ],
    ["buildah", "push", `--tls-verify=${!insecure}`, name],
  ],
};

/** BuildKit's client takes values on its command line only, which others can read: those with a login in them stay out. */
const withoutLogins = (args: ImageBuild["args"]): [string, string][] =>
  Object.entries(args).filter(([, value]) => !/\/\/[^/]*@/.test(value));

/** BuildKit, at the address in BUILDKIT_HOST; rootless in clusters. */
export const buildKit: BuildTool = {
  name: "BuildKit",
  commands: ({ context, file, name, args, insecure }) => [
    [
      "buildctl",
      "build",
      "--frontend=dockerfile.v0",
      `--local=context=${context}`,
      `--local=dockerfile=${context}`,
      `--opt=filename=${file}`,
      ...withoutLogins(args).map(([arg, value]) => `--opt=build-arg:${arg}=${value}`),
      `--output=type=image,name=${name},push=true${insecure ? ",registry.insecure=true" : ""}`,
    ],
  ],
};

/** Kaniko's executor, where people have it. */
export const kaniko: BuildTool = {
  name: "Kaniko",
  commands: ({ context, file, name, args, insecure, compressedCaching }) => [
    [
      "/kaniko/executor",
      `--context=dir://${context}`,
      `--dockerfile=${file}`,
      `--destination=${name}`,
      `--compressed-caching=${compressedCaching}`,
      ...argFlags("--build-arg", args),
      ...(insecure ? ["--insecure", "--insecure-pull"] : []),
    ],
  ],
};

/** Builds with a tool's command line. */
export class CommandBuilder implements ImageBuilder {
  readonly name: string;
  private readonly tool: BuildTool;

  constructor(tool: BuildTool) {
    this.tool = tool;
    this.name = tool.name;
  }

  async buildAndPush(build: ImageBuild): Promise<void> {
    for (const [command = "", ...args] of this.tool.commands(build)) {
      try {
        await runTool(command, args, { env: { ...process.env, ...build.args }, say: build.say });
      } catch (error) {
        if (!(error instanceof ToolFailure)) throw error;
        const words = error.output.split("\n").slice(-15).join("\n");
        throw new StepError(`${this.name} could not build or push ${build.name}:\n${words}`, hintFor(words));
      }
    }
  }
}
