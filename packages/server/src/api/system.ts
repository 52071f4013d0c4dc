import { workflowDefinition } from "@fuseml/core/workflow/definition";
import { z } from "zod";
import { openApi } from "../platform/http/openapi.ts";
import { type AnyRoute, route } from "../platform/http/route.ts";

const tag = "system";

export type SystemParts = {
  version: string;
  commit: string;
  ready: () => boolean;
  routes: () => Readonly<Record<string, AnyRoute>>;
};

export const systemRoutes = ({ version, commit, ready, routes }: SystemParts) => ({
  "GET /version": route({
    tag,
    access: "anyone",
    summary: "The server's version",
    reply: z
      .object({
        version: z.string(),
        gitCommit: z.string(),
        buildDate: z.string(),
        golangVersion: z.string(),
        golangCompiler: z.string(),
        platform: z.string(),
        node: z.string(),
      })
      .meta({ id: "VersionInfo" }),
    handler: () => ({
      version,
      gitCommit: commit,
      buildDate: "",
      golangVersion: "",
      golangCompiler: "",
      platform: `${process.platform}/${process.arch}`,
      node: process.version,
    }),
  }),
  "GET /readyz": route({
    tag,
    access: "anyone",
    summary: "Whether the server takes work",
    reply: z.object({ ready: z.boolean() }),
    handler: () => ({ ready: ready() }),
  }),
  "GET /openapi.json": route({
    tag,
    access: "anyone",
    summary: "This description",
    reply: z.looseObject({}),
    handler: () =>
      openApi(
        routes(),
        {
          title: "FuseML",
          version,
          description: "Turns a published commit of ML code into a trained model and a served prediction endpoint.",
        },
        { Workflow: workflowDefinition },
      ) as Record<string, unknown>,
  }),
});
