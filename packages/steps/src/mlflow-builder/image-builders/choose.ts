import { existsSync } from "node:fs";
import { onPath } from "@fuseml/environments/uv";
import { type StepContext, StepError } from "../../step/context.ts";
import { type BuildTool, buildah, buildKit, CommandBuilder, kaniko } from "./command-builders.ts";
import { EngineBuilder } from "./engine-builder.ts";
import type { ImageBuilder } from "./image-builder.ts";

const tools: Readonly<Record<string, BuildTool>> = { buildah, buildkit: buildKit, kaniko };

/** What builds images here: `FUSEML_BUILDER`, else what is found. @throws StepError when there is nothing */
export function chooseBuilder({ env }: StepContext): ImageBuilder {
  const socket = env.FUSEML_BUILD_ENGINE?.replace(/^unix:\/\//, "");
  const found = [
    ...(socket && existsSync(socket) ? ["engine"] : []),
    ...(env.BUILDKIT_HOST ? ["buildkit"] : []),
    ...(existsSync("/kaniko/executor") ? ["kaniko"] : []),
    ...(onPath("buildah", env.PATH) ? ["buildah"] : []),
  ];
  const name = env.FUSEML_BUILDER ?? found[0];
  if (name === "engine" && socket) return new EngineBuilder(socket);
  const tool = name === undefined ? undefined : tools[name];
  if (tool) return new CommandBuilder(tool);
  throw new StepError(
    name === undefined
      ? "nothing here can build images: no container engine, BuildKit, Kaniko or Buildah"
      : `FUSEML_BUILDER is "${name}"; there is: ${found.join(", ") || "nothing"}`,
    "give the step BUILDKIT_HOST, or run it with FuseML's container agent",
  );
}
