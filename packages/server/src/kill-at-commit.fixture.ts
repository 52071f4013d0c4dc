/** A server that kills itself around its k-th write to the database, counted from when the file `armed` is in its data directory. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { openStore } from "./compose.ts";
import { fail, serve } from "./serve.ts";
import type { Repositories } from "./state/store.ts";

const at = Number(process.env.FUSEML_TEST_KILL_AT ?? 0);
const mode = process.env.FUSEML_TEST_KILL ?? "before";
const armed = join(process.env.FUSEML_DATA_DIR ?? "", "armed");
let written = 0;

function around(when: "before" | "after"): void {
  if (when === "before" && existsSync(armed)) written += 1;
  if (at > 0 && written === at && when === mode) process.kill(process.pid, "SIGKILL");
}

/** Writes outside a transaction are commits, too. */
function counted(repositories: Repositories): Repositories {
  const wrap = (repository: object): object =>
    new Proxy(repository, {
      get: (target, property) => {
        const method = Reflect.get(target, property) as unknown;
        if (typeof method !== "function" || !/^(add|save|update|remove|take|mark|end)/.test(String(property)))
          return method;
        return async (...args: unknown[]) => {
          around("before");
          const result: unknown = await (method as (...args: unknown[]) => unknown).apply(target, args);
          around("after");
          return result;
        };
      },
    });
  return Object.fromEntries(Object.entries(repositories).map(([name, of]) => [name, wrap(of)])) as Repositories;
}

serve(async (configuration, file, log) => {
  const store = await openStore(configuration, file, log);
  return {
    ...store,
    read: counted(store.read),
    transaction: async (work) => {
      const result = await store.transaction(async (unit) => {
        const done = await work(unit);
        around("before");
        return done;
      });
      around("after");
      return result;
    },
  };
}).catch(fail);
