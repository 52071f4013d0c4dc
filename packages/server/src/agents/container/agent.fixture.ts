/** A container agent for tests; as a program of its own, one that can be killed. */
import { join } from "node:path";
import type { Segment } from "@fuseml/core/run/plan";
import { systemClock } from "../../platform/clock.ts";
import { createLog } from "../../platform/log.ts";
import type { SegmentContext } from "../../runs/workload-agent.ts";
import { GitCodeStore } from "../../stores/git/git-code-store.ts";
import { SegmentAgent } from "../segments/segment-agent.ts";
import { Slots } from "../segments/slots.ts";
import { ContainerEngine } from "./engine.ts";
import { type ConnectedEngine, connectEngine } from "./engine-address.ts";
import { ImageNames } from "./image-names.ts";
import { Images } from "./images.ts";

/** What the parent tells the doomed process. A map does not travel: `finished` is empty there. */
export type Doom = {
  readonly root: string;
  readonly address: string;
  readonly segment: Segment;
  readonly context: Omit<SegmentContext, "finished">;
  readonly after: string;
};

export function makeAgent(
  root: string,
  engine: ConnectedEngine,
  of: { loginFiles?: readonly string[]; network?: string } = {},
): { agent: SegmentAgent; containers: ContainerEngine } {
  const directory = join(root, "segments");
  const containers = new ContainerEngine({
    engine,
    images: new Images({
      engine,
      names: new ImageNames([], join(root, "images.yaml"), "test"),
      policy: "missing",
      loginFiles: of.loginFiles ?? [],
    }),
    code: new GitCodeStore(join(root, "git")),
    directory,
    log: createLog("silent"),
    namespace: "fuseml-workloads",
    zone: "container",
    network: of.network ?? "host",
    environment: { env: {}, files: {} },
    has: () => true,
    builder: { isBuilder: () => false, env: {} },
  });
  const agent = new SegmentAgent({
    engine: containers,
    directory,
    clock: systemClock,
    log: createLog("silent"),
    slots: new Slots(8),
    graceMs: 500,
    logLimitBytes: 1024 * 1024,
  });
  return { agent, containers };
}

process.on("message", async ({ root, address, segment, context, after }: Doom) => {
  const { agent } = makeAgent(root, await connectEngine(address));
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
