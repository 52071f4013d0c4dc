import { notFound, row } from "./error-row.ts";

/** What can go wrong with runs and their steps: a part of the catalogue in errors.ts. */
export const runErrors = {
  "run.not-found": notFound("run"),
  "run.ended": row<{ name: string; status: string }>({
    status: 409,
    exit: 4,
    message: (p) => `run ${p.name} has already ended (${p.status})`,
  }),
  "run.not-succeeded": row<{ name: string; status: string }>({
    status: 500,
    exit: 1,
    message: (p) => `${p.name} ended as ${p.status}`,
    hint: (p) => `see why: fuseml run get ${p.name}; its log: fuseml run logs ${p.name}`,
  }),
  "run.input-unknown": row<{ workflow: string; name: string; hint: string }>({
    status: 400,
    exit: 2,
    message: (p) => `workflow "${p.workflow}" has no input "${p.name}"`,
    hint: (p) => p.hint,
  }),
  "run.input-missing": row<{ workflow: string; name: string; flag: string }>({
    status: 400,
    exit: 2,
    message: (p) => `input "${p.name}" of workflow "${p.workflow}" has no default and no value was given`,
    hint: (p) => `give one: ${p.flag}`,
  }),
  "run.input-type": row<{ name: string; type: string; value: string }>({
    status: 400,
    exit: 2,
    message: (p) => `input "${p.name}" is of type ${p.type}, and "${p.value}" is not`,
  }),
  "host.image-without-recipe": row<{ image: string; step: string }>({
    status: 400,
    exit: 2,
    message: (p) => `step "${p.step}": this machine runs no containers and has no recipe for image "${p.image}"`,
    hint: () =>
      "run it with a container agent, or say what it runs here in host-recipes.yaml of the data directory (docs/host-agent.md)",
  }),
  "host.command": row<{ step: string }>({
    status: 400,
    exit: 2,
    message: (p) => `step "${p.step}" says what its image runs (entrypoint, args), and this machine runs no containers`,
    hint: () =>
      "run it with a container agent, or give its image a recipe in host-recipes.yaml and leave them out (docs/host-agent.md)",
  }),
  "run.step-not-found": row<{ step: string; hint: string }>({
    status: 404,
    exit: 3,
    message: (p) => `the run has no step "${p.step}"`,
    hint: (p) => p.hint,
  }),
  "run.not-ended": row<{ name: string; status: string }>({
    status: 409,
    exit: 4,
    message: (p) => `run ${p.name} has not ended: it is ${p.status}`,
    hint: () => "a live run goes on by itself; run one step of it again with: fuseml run retry RUN STEP",
  }),
  "run.nothing-to-resume": row<{ name: string }>({
    status: 409,
    exit: 4,
    message: (p) => `run ${p.name} succeeded: nothing of it is left to run`,
    hint: () => "say from where it is to run again: fuseml run resume RUN --from STEP",
  }),
  "run.step-started": row<{ step: string; status: string }>({
    status: 409,
    exit: 4,
    message: (p) => `step "${p.step}" cannot be changed any more: it is ${p.status}`,
    hint: () => "change it in a copy of the run: fuseml run fork RUN --from STEP -f FILE",
  }),
  "run.not-waiting": row<{ step: string; what: string }>({
    status: 409,
    exit: 4,
    message: (p) => `step "${p.step}" does not wait for ${p.what}`,
    hint: () => "see what the run waits for: fuseml run get RUN",
  }),
  "run.approver": row<{ step: string; who: string; by: string }>({
    status: 403,
    exit: 6,
    message: (p) => `${p.who} may not decide about step "${p.step}"`,
    hint: (p) => `it asks for: ${p.by}`,
  }),
  "run.not-stepwise": row<{ name: string }>({
    status: 409,
    exit: 4,
    message: (p) => `run ${p.name} does not go step by step`,
    hint: () => "make it: fuseml run pause RUN; or start one so: fuseml workflow run NAME --step",
  }),
  "run.definition-differs": row<{ reason: string }>({
    status: 409,
    exit: 4,
    message: (p) => `the edited workflow does not fit the run: ${p.reason}`,
    hint: () => "print what the run runs with: fuseml run definition RUN",
  }),
  "run.timeout": row<{ timeout: string }>({
    status: 500,
    exit: 1,
    message: (p) => `the run took longer than its timeout of ${p.timeout}`,
    hint: () => "go on with it: fuseml run resume RUN; or give the workflow more time",
  }),
  "run.elsewhere": row<{ name: string }>({
    status: 503,
    exit: 5,
    message: (p) => `run ${p.name} is in the hands of another replica, which does not answer`,
    hint: () => "try again in some seconds: another replica takes it over",
    temporary: true,
  }),
  "cache.not-found": row<{ name: string }>({
    status: 404,
    exit: 3,
    message: (p) => `no kept result matches "${p.name}"`,
    hint: () => "list them with: fuseml cache list",
  }),
  "schedule.invalid": row<{ cron: string; reason: string }>({
    status: 400,
    exit: 2,
    message: (p) => `schedule "${p.cron}" cannot be kept: ${p.reason}`,
    hint: () => "five fields: minute hour day month weekday, as 0 3 * * *; the time zone is an IANA name",
  }),
  "log.gone": row<{ step: string }>({
    status: 410,
    exit: 1,
    message: (p) => `the log of step "${p.step}" is not there any more`,
    hint: () => "it was removed from the data directory; the run's history is still there: fuseml run explain RUN",
  }),
  "step.approval-expired": row<{ step: string; until: string }>({
    status: 500,
    exit: 1,
    message: (p) => `nobody approved step "${p.step}" until ${p.until}`,
    hint: () => "ask once more: fuseml run resume RUN",
  }),
  "step.rejected": row<{ step: string; by: string; comment: string }>({
    status: 500,
    exit: 1,
    message: (p) => `step "${p.step}" was rejected by ${p.by}${p.comment ? `: ${p.comment}` : ""}`,
    hint: () => "after a change of mind: fuseml run resume RUN asks once more",
  }),
  "step.timeout": row<{ step: string; seconds: number }>({
    status: 500,
    exit: 1,
    message: (p) => `step "${p.step}" took longer than its timeout of ${p.seconds} s and was ended`,
    hint: () => "give it more time with `timeout:`, or let it try again with `retries:`",
  }),
  "step.matrix-invalid": row<{ step: string; reason: string }>({
    status: 400,
    exit: 2,
    message: (p) => `step "${p.step}": ${p.reason}`,
    hint: () => 'a dimension is a list, or an output that holds a JSON list as ["a", "b"]',
  }),
  "step.log-too-large": row<{ step: string; limit: string }>({
    status: 500,
    exit: 1,
    message: (p) => `step "${p.step}" printed more than ${p.limit} and was ended`,
    hint: () => "print less, or allow more: FUSEML_LOG_LIMIT_MB",
  }),
  "step.input-too-large": row<{ step: string; variable: string; size: number; limit: number }>({
    status: 400,
    exit: 2,
    message: (p) =>
      `${p.variable} of step "${p.step}" would be ${p.size} bytes; a value that a step is given has at most ${p.limit}`,
    hint: () => "store large things in an artifact store and hand over their address",
  }),
  "step.zone-unknown": row<{ step: string; zone: string; known: string }>({
    status: 400,
    exit: 2,
    message: (p) => `step "${p.step}" asks for zone "${p.zone}", and no workload agent is there`,
    hint: (p) => `zones with an agent: ${p.known}`,
  }),
  "step.agent-gone": row<{ step: string; agent: string }>({
    status: 500,
    exit: 1,
    message: (p) => `agent "${p.agent}", which ran step "${p.step}", is not configured any more`,
    hint: () => "configure it again, or go on elsewhere: fuseml run resume RUN",
  }),
  "step.failed": row<{ step: string; exitCode: number }>({
    status: 500,
    exit: 1,
    message: (p) => `step "${p.step}" failed with exit code ${p.exitCode}`,
  }),
  "step.killed": row<{ step: string; signal: string }>({
    status: 500,
    exit: 1,
    message: (p) => `step "${p.step}" was killed by ${p.signal}`,
    hint: () => "SIGKILL from outside usually means that memory ran out",
  }),
  "step.vanished": row<{ step: string }>({
    status: 500,
    exit: 1,
    message: (p) => `the process of step "${p.step}" is gone and left no exit status`,
    hint: () => "it was killed from outside or the machine restarted; run it again",
  }),
  "step.output-missing": row<{ step: string; output: string }>({
    status: 500,
    exit: 1,
    message: (p) => `step "${p.step}" succeeded but did not write its output "${p.output}"`,
    hint: (p) => `the step must write the file $FUSEML_RESULTS_DIR/${p.output}`,
  }),
  "step.output-too-large": row<{ step: string; output: string; size: number; limit: number }>({
    status: 500,
    exit: 1,
    message: (p) =>
      `output "${p.output}" of step "${p.step}" is ${p.size} bytes; a value output has at most ${p.limit}`,
    hint: () => "store large things in an artifact store and output their address",
  }),
  "step.not-started": row<{ step: string; reason: string }>({
    status: 500,
    exit: 1,
    message: (p) => `step "${p.step}" could not be started: ${p.reason}`,
  }),
} as const;
