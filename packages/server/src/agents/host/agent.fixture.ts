/** A host agent for tests; as a program of its own, one that can be killed. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Segment } from "@fuseml/core/run/plan";
import { EnvironmentStore } from "@fuseml/environments/store";
import { systemClock } from "../../platform/clock.ts";
import { createLog } from "../../platform/log.ts";
import { ShellWorkers } from "../../platform/processes/shell-worker.ts";
import type { SegmentContext } from "../../runs/workload-agent.ts";
import { GitCodeStore } from "../../stores/git/git-code-store.ts";
import { SegmentAgent } from "../segments/segment-agent.ts";
import { Slots } from "../segments/slots.ts";
import { HostEngine } from "./engine.ts";
import { hostEnvironment } from "./environment.ts";
import { HostRecipes } from "./recipes.ts";

/** What the parent tells the doomed process. A map does not travel: `finished` is empty there. */
export type Doom = {
  readonly root: string;
  readonly segment: Segment;
  readonly context: Omit<SegmentContext, "finished">;
  readonly after: string;
};

export function makeAgent(root: string, slots = 8): SegmentAgent {
  const environments = new EnvironmentStore(join(root, "environments"), join(root, "tools"));
  writeFileSync(
    join(root, "host-recipes.yaml"),
    'recipes: [{image: "test/shell:*", command: [sh, -c, \'eval "$SCRIPT"\']}]\n',
  );
  const engine = new HostEngine({
    recipes: new HostRecipes({
      programs: {},
      runtime: "",
      environments,
      file: join(root, "host-recipes.yaml"),
      env: {},
      version: "test",
    }),
    code: new GitCodeStore(join(root, "git")),
    workers: new ShellWorkers(hostEnvironment(process.env)),
    namespace: "fuseml-workloads",
    zone: "local",
  });
  return new SegmentAgent({
    engine,
    directory: join(root, "segments"),
    clock: systemClock,
    log: createLog("silent"),
    slots: new Slots(slots),
    graceMs: 500,
    logLimitBytes: 1024 * 1024,
  });
}

process.on("message", async ({ root, segment, context, after }: Doom) => {
  const agent = makeAgent(root);
  await agent.submit(segment, { ...context, finished: new Map() });
  const [first] = segment.steps;
  for await (const { text } of agent.logs(segment.id, first?.name ?? "", {
    from: 0,
    follow: true,
    signal: AbortSignal.timeout(20_000),
  })) {
    if (text.includes(after)) process.kill(process.pid, "SIGKILL");
  }
});
