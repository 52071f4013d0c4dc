/** `npm run schema`: writes docs/workflow.schema.json from the definition, so that editors complete and check workflows. */
import { writeFileSync } from "node:fs";
import { workflowJsonSchema } from "./definition.ts";

writeFileSync(
  new URL("../../../../docs/workflow.schema.json", import.meta.url),
  `${JSON.stringify(workflowJsonSchema(), null, 2)}\n`,
);
