import type { Diagnostic } from "./diagnostic.ts";
import { exists, notFound, type Row, row } from "./error-row.ts";
import { imageErrors } from "./image-errors.ts";
import { runErrors } from "./run-errors.ts";

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
  "webhook.not-found": notFound("webhook"),
  "webhook.exists": exists("webhook"),
  "token.not-found": notFound("token"),
  "token.exists": exists("token"),
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
  "tool.failed": row<{ tool: string; output: string }>({
    status: 500,
    exit: 1,
    message: (p) => `"${p.tool}" failed:\n${p.output}`,
  }),
  internal: row<{ message: string }>({
    status: 500,
    exit: 1,
    message: (p) => `unexpected error: ${p.message}`,
    hint: () => "this is a defect of FuseML: please report it with the server's log",
  }),
  ...runErrors,
  ...imageErrors,
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
