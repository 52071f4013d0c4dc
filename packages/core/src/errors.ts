import type { Diagnostic } from "./diagnostic.ts";

type Row<P> = {
  /** HTTP status of the answer that carries this error. */
  readonly status: number;
  /** Exit code of a command that ends with it: 1 failure, 2 wrong usage or input, 3 not found, 4 conflict, 5 unreachable, 6 denied. */
  readonly exit: number;
  readonly message: (params: P) => string;
  readonly hint?: (params: P) => string;
  /** True when the same call may succeed later. */
  readonly temporary?: boolean;
};

/** An error of the catalogue: what the API answers as `application/problem+json` and the CLI prints. */
export class FuseError extends Error {
  override readonly name = "FuseError";
  readonly code: string;
  readonly status: number;
  readonly exit: number;
  readonly hint: string | undefined;
  readonly field: string | undefined;
  readonly temporary: boolean;
  readonly diagnostics: readonly Diagnostic[];

  constructor(of: {
    code: string;
    status: number;
    exit: number;
    message: string;
    hint?: string | undefined;
    field?: string | undefined;
    temporary?: boolean;
    diagnostics?: readonly Diagnostic[];
    cause?: unknown;
  }) {
    super(of.message, of.cause === undefined ? undefined : { cause: of.cause });
    this.code = of.code;
    this.status = of.status;
    this.exit = of.exit;
    this.hint = of.hint;
    this.field = of.field;
    this.temporary = of.temporary ?? false;
    this.diagnostics = of.diagnostics ?? [];
  }
}

type Extra = { readonly field?: string; readonly cause?: unknown; readonly diagnostics?: readonly Diagnostic[] };

/** A row for errors whose parameters are `P`. */
const row = <P = Record<string, never>>(value: Row<P>): Row<P> => value;
const notFound = (what: string) =>
  row<{ name: string }>({
    status: 404,
    exit: 3,
    message: ({ name }) => `${what} "${name}" does not exist`,
    hint: () => `list them with: fuseml ${what.split(" ")[0]} list`,
  });
const exists = (what: string) =>
  row<{ name: string }>({ status: 409, exit: 4, message: ({ name }) => `${what} "${name}" exists already` });

const rows = {
  "request.invalid": row<{ message: string; hint?: string }>({
    status: 400,
    exit: 2,
    message: (p) => p.message,
    hint: (p) => p.hint ?? "",
  }),
  "request.too-large": row<{ limit: string }>({
    status: 413,
    exit: 2,
    message: (p) => `the request is larger than ${p.limit}`,
  }),
  "auth.required": row({
    status: 401,
    exit: 6,
    message: () => "this server asks for a token",
    hint: () => "set FUSEML_TOKEN, or log in with: fuseml config set token TOKEN",
  }),
  "auth.invalid": row({
    status: 401,
    exit: 6,
    message: () => "the token or password is not valid (any more)",
    hint: () => "a run's token dies with its run; ask an administrator for a new one",
  }),
  "auth.forbidden": row<{ what: string }>({ status: 403, exit: 6, message: (p) => `not allowed: ${p.what}` }),
  "address.invalid": row<{ text: string; reason: string }>({
    status: 400,
    exit: 2,
    message: (p) => `"${p.text}" is not an artifact address: ${p.reason}`,
    hint: () => "addresses look like code://project/codeset/commit or model://project/name/version",
  }),
  "artifact.not-found": row<{ name: string }>({
    status: 404,
    exit: 3,
    message: (p) => `no artifact matches ${p.name}`,
  }),
  "artifact.immutable": row<{ name: string }>({
    status: 409,
    exit: 4,
    message: (p) => `artifact ${p.name} exists already with other contents`,
    hint: () => "a resolved address never changes what it points to: register a new version",
  }),
  "workflow.invalid": row<{ count: number; first: string }>({
    status: 400,
    exit: 2,
    message: (p) => (p.count === 1 ? p.first : `the workflow has ${p.count} errors; the first: ${p.first}`),
  }),
  "workflow.not-found": notFound("workflow"),
  "workflow.exists": exists("workflow"),
  "workflow.name-mismatch": row<{ name: string; body: string }>({
    status: 400,
    exit: 2,
    message: (p) => `the definition is named "${p.body}", not "${p.name}"`,
  }),
  "assignment.not-found": row<{ workflow: string; codeset: string }>({
    status: 404,
    exit: 3,
    message: (p) => `workflow "${p.workflow}" is not assigned to ${p.codeset}`,
  }),
  "assignment.ambiguous": row<{ workflow: string; inputs: string }>({
    status: 400,
    exit: 2,
    message: (p) => `workflow "${p.workflow}" has not exactly one codeset input (${p.inputs})`,
    hint: () => "say which input takes which codeset: --input NAME=code://project/codeset",
  }),
  "project.not-found": notFound("project"),
  "project.exists": exists("project"),
  "project.not-empty": row<{ name: string; codesets: string }>({
    status: 409,
    exit: 4,
    message: (p) => `project "${p.name}" still has codesets: ${p.codesets}`,
    hint: () => "delete them first: fuseml codeset delete",
  }),
  "codeset.not-found": notFound("codeset"),
  "codeset.exists": exists("codeset"),
  "codeset.ref-not-found": row<{ codeset: string; ref: string }>({
    status: 404,
    exit: 3,
    message: (p) => `codeset ${p.codeset} has no commit, branch or tag "${p.ref}"`,
  }),
  "codeset.empty": row<{ codeset: string }>({
    status: 409,
    exit: 4,
    message: (p) => `nothing has been pushed to codeset ${p.codeset} yet`,
    hint: () => "push to it: fuseml codeset push DIRECTORY",
  }),
  "codeset.push-failed": row<{ reason: string }>({
    status: 500,
    exit: 1,
    message: (p) => `git push failed: ${p.reason}`,
  }),
  "extension.not-found": notFound("extension"),
  "extension.exists": exists("extension"),
  "extension.part-not-found": row<{ what: string; name: string; of: string }>({
    status: 404,
    exit: 3,
    message: (p) => `${p.of} has no ${p.what} "${p.name}"`,
  }),
  "extension.part-exists": row<{ what: string; name: string; of: string }>({
    status: 409,
    exit: 4,
    message: (p) => `${p.of} already has ${p.what} "${p.name}"`,
  }),
  "extension.unresolved": row<{ step: string; extension: string; reason: string }>({
    status: 400,
    exit: 2,
    message: (p) =>
      `step "${p.step}" asks for extension "${p.extension}", which nothing registered matches: ${p.reason}`,
    hint: () => "see what is registered: fuseml extension list; install a bundle: fuseml extension install NAME",
  }),
  "extension.no-bundle": row<{ name: string; known: string }>({
    status: 404,
    exit: 3,
    message: (p) => `there is no installable bundle "${p.name}"`,
    hint: (p) => `bundles: ${p.known}`,
  }),
  "extension.install-failed": row<{ name: string; reason: string }>({
    status: 500,
    exit: 1,
    message: (p) => `installing extension "${p.name}" failed: ${p.reason}`,
  }),
  "application.not-found": notFound("application"),
  "runnable.not-found": notFound("runnable"),
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
  "webhook.not-found": notFound("webhook"),
  "webhook.exists": exists("webhook"),
  "token.not-found": notFound("token"),
  "token.exists": exists("token"),
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
  "disk.full": row<{ where: string }>({
    status: 507,
    exit: 1,
    message: (p) => `the disk is full: ${p.where} could not be written`,
    hint: () => "free some space, then run the same again; nothing half-made was kept",
    temporary: true,
  }),
  "server.port-in-use": row<{ port: number }>({
    status: 500,
    exit: 5,
    message: (p) => `port ${p.port} is in use by another program`,
    hint: (p) => `stop that program, or choose another port: FUSEML_PORT=${p.port + 1}`,
  }),
  "server.unreachable": row<{ url: string; reason: string }>({
    status: 503,
    exit: 5,
    message: (p) => `no FuseML server answers at ${p.url} (${p.reason})`,
    hint: () => "start one with: fuseml server start; or point to another with --url or FUSEML_SERVER_URL",
    temporary: true,
  }),
  "server.configuration": row<{ name: string; reason: string }>({
    status: 500,
    exit: 2,
    message: (p) => `${p.name}: ${p.reason}`,
  }),
  "server.data-directory-in-use": row<{ directory: string; pid: number }>({
    status: 409,
    exit: 4,
    message: (p) => `another FuseML server (process ${p.pid}) already uses ${p.directory}`,
    hint: () => "stop it with: fuseml server stop; or set FUSEML_DATA_DIR to another directory",
  }),
  "server.schema-too-new": row<{ found: number; known: number }>({
    status: 500,
    exit: 2,
    message: (p) => `the database has schema version ${p.found}; this FuseML knows up to ${p.known}`,
    hint: () => "use the FuseML version that wrote it, or a newer one",
  }),
  "serving.not-found": notFound("inferenceservice"),
  "serving.not-ready": row<{ name: string; reason: string }>({
    status: 503,
    exit: 1,
    message: (p) => `prediction service "${p.name}" is not ready: ${p.reason}`,
    temporary: true,
  }),
  "serving.bad-request": row<{ reason: string }>({ status: 400, exit: 2, message: (p) => p.reason }),
  "tool.missing": row<{ tool: string; hint: string }>({
    status: 500,
    exit: 1,
    message: (p) => `"${p.tool}" is needed and was not found`,
    hint: (p) => p.hint,
  }),
  internal: row<{ message: string }>({
    status: 500,
    exit: 1,
    message: (p) => `unexpected error: ${p.message}`,
    hint: () => "this is a defect of FuseML: please report it with the server's log",
  }),
} as const;

export type ErrorCode = keyof typeof rows;
type ParamsOf<C extends ErrorCode> = (typeof rows)[C] extends Row<infer P> ? P : never;

/**
 * Makes the error `code` of the catalogue. Code, HTTP status, exit code, message and hint come from the same row.
 * @example throw failure("workflow.not-found", { name });
 */
export function failure<C extends ErrorCode>(code: C, params: ParamsOf<C>, extra: Extra = {}): FuseError {
  const found = rows[code] as unknown as Row<ParamsOf<C>>;
  return new FuseError({
    code,
    status: found.status,
    exit: found.exit,
    message: found.message(params),
    hint: found.hint?.(params) || undefined,
    temporary: found.temporary ?? false,
    ...extra,
  });
}

/** Every code with its HTTP status and exit code, for documentation and the API description. */
export const errorCodes: readonly { code: ErrorCode; status: number; exit: number }[] = Object.entries(rows).map(
  ([code, { status, exit }]) => ({ code: code as ErrorCode, status, exit }),
);

/** The diagnostics of a definition as one error. There must be at least one. */
export function workflowInvalid(diagnostics: readonly Diagnostic[]): FuseError {
  const first = diagnostics[0];
  return failure(
    "workflow.invalid",
    { count: diagnostics.length, first: first?.message ?? "no reason given" },
    { diagnostics, ...(first?.path ? { field: first.path } : {}) },
  );
}
