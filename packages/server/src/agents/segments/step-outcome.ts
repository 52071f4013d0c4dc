import { join } from "node:path";
import { type FuseError, failure } from "@fuseml/core/errors";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { RunError, StepEvent } from "@fuseml/core/run/state";
import { outputLimitBytes } from "../../runs/workload-agent.ts";
import { files } from "./step-directory.ts";
import type { RunningStep, StepEnd } from "./step-engine.ts";
import { tailOf } from "./step-log.ts";

/** Why FuseML ended a command itself. */
export type Ended = { readonly timeoutMs: number } | { readonly logLimitBytes: number };

/** What the end of a step's command means. */
export async function judge(
  step: StepSpec,
  running: Pick<RunningStep, "output">,
  end: StepEnd,
  directory: string,
  at: string,
  byUs: Ended | undefined,
): Promise<StepEvent> {
  const fail = (error: FuseError, exitCode?: number): StepEvent => failed(step, error, directory, at, exitCode);
  if (byUs && "timeoutMs" in byUs)
    return fail(failure("step.timeout", { step: step.name, seconds: byUs.timeoutMs / 1000 }));
  if (byUs) {
    const limit = `${Math.round(byUs.logLimitBytes / 1024 / 1024)} MiB`;
    return fail(failure("step.log-too-large", { step: step.name, limit }));
  }
  if (end.type === "gone") return fail(failure("step.vanished", { step: step.name }));
  if (end.type === "failed") return fail(end.error, end.exitCode);
  const { code } = end;
  if (code > 128 && code <= 192)
    return fail(failure("step.killed", { step: step.name, signal: signalName(code - 128) }), code);
  if (code !== 0) return fail(failure("step.failed", { step: step.name, exitCode: code }), code);
  const outputs: Record<string, string> = {};
  for (const output of step.outputs) {
    const found = await running.output(output);
    if (!found) return fail(failure("step.output-missing", { step: step.name, output }), 0);
    const { size, text } = found;
    if (size > outputLimitBytes || text === undefined)
      return fail(failure("step.output-too-large", { step: step.name, output, size, limit: outputLimitBytes }), 0);
    outputs[output] = text.replace(/\r?\n$/, "");
  }
  return { type: "succeeded", step: step.name, attempt: step.attempt, at, outputs };
}

export function failed(
  step: StepSpec,
  error: Partial<FuseError> & Error,
  directory: string,
  at: string,
  exitCode?: number,
): StepEvent {
  const logTail = tailOf(join(directory, files.log));
  const told: RunError = {
    code: error.code ?? "internal",
    message: error.message,
    ...(error.hint ? { hint: error.hint } : {}),
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(logTail ? { logTail } : {}),
  };
  return { type: "failed", step: step.name, attempt: step.attempt, at, error: told };
}

const signalNames: Readonly<Record<number, string>> = {
  1: "SIGHUP",
  2: "SIGINT",
  6: "SIGABRT",
  9: "SIGKILL",
  11: "SIGSEGV",
  13: "SIGPIPE",
  15: "SIGTERM",
};
const signalName = (number: number): string => signalNames[number] ?? `signal ${number}`;
