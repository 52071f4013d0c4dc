/** The control plane: `node packages/server/src/main.ts`. Configuration is in the environment (FUSEML_*). */
import { fail, serve } from "./serve.ts";

serve().catch(fail);
