import type { Client, Reply } from "@fuseml/client/client";
import { errColours as pc } from "./colours.ts";
import { describeGate } from "./describe-gate.ts";
import { duration, type Terminal } from "./output.ts";
import { Progress } from "./progress.ts";

/** What the server's event types start with. */
const eventTypePrefix = "org.fuseml.";

type RunEvent = {
  type: string;
  time: string;
  data: {
    step?: string;
    at?: string;
    outputs?: Record<string, string>;
    reused?: { run: string };
    retryAt?: string;
    gate?: { type: string };
  };
};

export type RunDetail = Reply<"GET /runs/{id}">;

/** Shows a run's steps as they happen, until it ends. @returns the run as it ended */
export async function followRun(client: Client, id: string, at: Terminal): Promise<RunDetail> {
  const progress = new Progress(at);
  const before = await client.call("GET /runs/{id}", { params: { id } });
  progress.say(`run ${before.name} of ${before.workflowRef} ${pc.dim(describeCause(before))}`);
  const started = new Map<string, number>();
  const logs = new AbortController();
  for await (const { data } of client.stream("GET /runs/{id}/events", { params: { id: before.name } })) {
    const { type, time, data: of } = data as RunEvent;
    const step = of.step ?? "";
    const moment = Date.parse(of.at ?? time);
    const outputs = Object.entries(of.outputs ?? {}).map(([name, value]) => `${name}=${value}`);
    switch (type.replace(eventTypePrefix, "")) {
      case "step.started":
        started.set(step, moment);
        progress.start(step);
        if (at.interactive) void noteLog(client, before.name, step, progress, logs.signal);
        break;
      case "step.succeeded":
        progress.done(`${step}  ${pc.dim(outputs.join(" "))}`, moment - (started.get(step) ?? moment));
        break;
      case "step.reused":
        progress.say(`${step}  ${pc.dim(`reused from ${of.reused?.run ?? ""}  ${outputs.join(" ")}`)}`);
        break;
      case "step.failed":
        progress.fail(of.retryAt ? `${step}  ${pc.dim(`tried again at ${of.retryAt}`)}` : step);
        break;
      case "step.skipped":
        progress.say(`${step}  ${pc.dim("skipped")}`);
        break;
      case "step.waiting":
        if (of.gate) progress.say(`${step} waits for ${describeGate(of.gate)}`);
        break;
    }
  }
  logs.abort();
  progress.clear();
  const ended = await client.call("GET /runs/{id}", { params: { id: before.name } });
  if (ended.status !== "Succeeded") at.err(`${pc.red(`run ${ended.status.toLowerCase()}`)}${describeError(ended)}\n`);
  return ended;
}

/** The last line of a step's log beside its name. */
async function noteLog(
  client: Client,
  id: string,
  step: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const { event, data } of client.stream(
      "GET /runs/{id}/logs",
      { params: { id }, query: { step, follow: "true" } },
      signal,
    )) {
      if (event !== "log") continue;
      const line = (data as { text: string }).text.trimEnd().split("\n").at(-1);
      if (line) progress.note(line, step);
    }
  } catch (error) {
    // a decoration: the run's own events say what matters
    if (!signal.aborted) progress.note(`(no log: ${(error as Error).message})`);
  }
}

export function describeCause({ cause }: RunDetail): string {
  switch (cause.type) {
    case "published":
      return `started by ${String(cause.artifact)}`;
    case "assigned":
      return "started by assigning the workflow";
    case "scheduled":
      return `started by its schedule, for ${String(cause.moment)}`;
    case "forked":
      return `forked from ${String(cause.run)} at step ${String(cause.from)} by ${String(cause.by)}`;
    default:
      return `started by ${String(cause.by ?? "hand")}`;
  }
}

/** Why a run failed: message, hint, the last words of the step. */
export function describeError({ error }: RunDetail): string {
  if (!error) return "";
  const tail = error.logTail
    ? `\n${error.logTail
        .split("\n")
        .map((line) => pc.dim(`  │ ${line}`))
        .join("\n")}`
    : "";
  return `: ${error.message} [${error.code}]${error.hint ? `\n  ${error.hint}` : ""}${tail}`;
}

/** 0 for a run that succeeded, 1 for any other. */
export const exitCodeOf = (run: { status: string }): number => (run.status === "Succeeded" ? 0 : 1);

export const runDuration = (run: { startTime: string; completionTime: string }): string =>
  duration((run.completionTime ? Date.parse(run.completionTime) : Date.now()) - Date.parse(run.startTime));
