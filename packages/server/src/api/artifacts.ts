import { artifactKinds, formatAddress, parseAddress } from "@fuseml/core/artifact/address";
import { failure } from "@fuseml/core/errors";
import { z } from "zod";
import type { Artifact } from "../artifacts/repository.ts";
import type { ArtifactService } from "../artifacts/service.ts";
import { route } from "../platform/http/route.ts";
import { instant, optionalText } from "./shared.ts";

const artifact = z
  .object({
    address: z.string().meta({ description: "kind://project/name/version" }),
    location: z.string().meta({ description: "where the contents are" }),
    digest: z.string(),
    labels: z.array(z.string()),
    metadata: z.looseObject({}),
    run: z.string().nullable().meta({ description: "the run that made it" }),
    created: instant,
  })
  .meta({ id: "Artifact" });
const edge = z.object({ source: z.string(), target: z.string(), relation: z.string(), created: instant });
const tag = "artifact";

const show = (of: Artifact): z.input<typeof artifact> => ({
  address: formatAddress(of.address),
  location: of.location,
  digest: of.digest,
  labels: [...of.labels],
  metadata: of.metadata,
  run: of.runId,
  created: of.created,
});

export const artifactRoutes = ({ artifacts, now }: { artifacts: ArtifactService; now: () => string }) => ({
  "GET /artifacts": route({
    tag,
    summary: "List artifacts, newest first",
    query: z.object({
      kind: z.enum(artifactKinds).optional(),
      project: optionalText,
      name: optionalText,
      limit: z.coerce.number().int().min(1).max(1000).default(100),
    }),
    reply: z.array(artifact),
    handler: async ({ query }) => (await artifacts.list(query)).map(show),
  }),
  "POST /artifacts": route({
    tag,
    access: "run",
    summary: "Register a model or dataset version; what depends on it starts",
    body: z.object({
      address: z.string(),
      location: z.string(),
      digest: z.string().default(""),
      labels: z.array(z.string()).default([]),
      metadata: z.looseObject({}).default({}),
    }),
    reply: artifact,
    status: 201,
    errors: ["address.invalid", "artifact.immutable"],
    handler: async ({ body, actor }) => {
      const address = parseAddress(body.address);
      if (address.kind === "code")
        throw failure(
          "request.invalid",
          { message: "code is published by pushing to its codeset" },
          { field: "body.address" },
        );
      const runId = actor.kind === "run" ? actor.runId : null;
      return show(await artifacts.register({ ...body, address, runId, created: now() }));
    },
  }),
  "GET /artifacts/lineage": route({
    tag,
    access: "run",
    summary: "What an artifact, a run (run:ID) or an application (application:NAME) was made from",
    query: z.object({ of: z.string() }),
    reply: z.object({ node: z.string(), summary: z.string(), edges: z.array(edge) }).meta({ id: "Lineage" }),
    handler: async ({ query }) => {
      const { node, summary, edges } = await artifacts.lineage(query.of);
      return { node, summary, edges: [...edges] };
    },
  }),
});
