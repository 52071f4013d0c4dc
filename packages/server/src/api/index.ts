import { applicationRoutes } from "./applications.ts";
import { artifactRoutes } from "./artifacts.ts";
import { cacheRoutes } from "./cache.ts";
import { codesetRoutes } from "./codesets.ts";
import { eventRoutes } from "./events.ts";
import { extensionPartRoutes } from "./extension-parts.ts";
import { extensionRoutes } from "./extensions.ts";
import { interventionRoutes } from "./interventions.ts";
import { projectRoutes } from "./projects.ts";
import { registryRoutes } from "./registry.ts";
import { runnableRoutes } from "./runnables.ts";
import { runRoutes } from "./runs.ts";
import { systemRoutes } from "./system.ts";
import { tokenRoutes } from "./tokens.ts";
import { webhookRoutes } from "./webhooks.ts";
import { workflowRoutes } from "./workflows.ts";

type Parts = Parameters<typeof projectRoutes>[0] &
  Parameters<typeof codesetRoutes>[0] &
  Parameters<typeof workflowRoutes>[0] &
  Parameters<typeof runRoutes>[0] &
  Parameters<typeof interventionRoutes>[0] &
  Parameters<typeof cacheRoutes>[0] &
  Parameters<typeof eventRoutes>[0] &
  Parameters<typeof webhookRoutes>[0] &
  Parameters<typeof tokenRoutes>[0] &
  Parameters<typeof artifactRoutes>[0] &
  Parameters<typeof applicationRoutes>[0] &
  Parameters<typeof extensionRoutes>[0] &
  Parameters<typeof runnableRoutes>[0] &
  Parameters<typeof registryRoutes>[0] &
  Parameters<typeof systemRoutes>[0];

/** All routes of the REST API: its description and the typed client come from their schemas. */
export const apiRoutes = (parts: Parts) => ({
  ...projectRoutes(parts),
  ...codesetRoutes(parts),
  ...workflowRoutes(parts),
  ...runRoutes(parts),
  ...interventionRoutes(parts),
  ...cacheRoutes(parts),
  ...eventRoutes(parts),
  ...webhookRoutes(parts),
  ...tokenRoutes(parts),
  ...artifactRoutes(parts),
  ...applicationRoutes(parts),
  ...extensionRoutes(parts),
  ...extensionPartRoutes(parts),
  ...runnableRoutes(parts),
  ...registryRoutes(parts),
  ...systemRoutes(parts),
});

/** The API as the client sees it: routes by `METHOD /path`. */
export type Api = ReturnType<typeof apiRoutes>;
