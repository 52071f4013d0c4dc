import type { Diagnostic } from "@fuseml/core/diagnostic";
import { FuseError, failure } from "@fuseml/core/errors";
import type { Api } from "@fuseml/server/api/index";
import type { ReplyOf, RequestOf } from "@fuseml/server/platform/http/route";
import { EventSourceParserStream } from "eventsource-parser/stream";

export type { Api } from "@fuseml/server/api/index";
export type Key = keyof Api & string;
export type Reply<K extends Key> = ReplyOf<Api[K]>;

/** Of a request only what the route takes; what it takes optionally may be left out. */
type Given<K extends Key> = {
  [P in keyof RequestOf<Api[K]> as RequestOf<Api[K]>[P] extends undefined ? never : P]: RequestOf<Api[K]>[P];
};
type Optional<T> = { [P in keyof T as object extends T[P] ? P : undefined extends T[P] ? P : never]?: T[P] } & {
  [P in keyof T as object extends T[P] ? never : undefined extends T[P] ? never : P]: T[P];
};
type Arguments<K extends Key> =
  object extends Optional<Given<K>> ? [request?: Optional<Given<K>>] : [request: Optional<Given<K>>];

export type ServerEvent = { readonly event: string; readonly id: string | undefined; readonly data: unknown };

export type ClientOptions = {
  readonly url: string;
  readonly token?: string | undefined;
  /** For answers; streams may take as long as they like. */
  readonly timeoutMs?: number;
  /** Told of each request, without its body. */
  readonly trace?: (line: string) => void;
};

type Plain = { params?: Record<string, string>; query?: Record<string, unknown>; body?: unknown };

/** Calls a FuseML server. Routes, parameters and answers have the types of the server's own schemas. */
export class Client {
  readonly url: string;
  private readonly options: ClientOptions;

  constructor(options: ClientOptions) {
    this.options = options;
    this.url = options.url.replace(/\/+$/, "");
  }

  /** @example await client.call("GET /workflows/{name}", { params: { name: "mlflow-e2e" } }) @throws FuseError: what the server says, or `server.unreachable` */
  async call<K extends Key>(key: K, ...[request]: Arguments<K>): Promise<Reply<K>> {
    const response = await this.send(
      key,
      (request ?? {}) as Plain,
      AbortSignal.timeout(this.options.timeoutMs ?? 30_000),
    );
    return (response.status === 204 ? undefined : await response.json()) as Reply<K>;
  }

  /** The events of a streaming route, until it ends. @throws FuseError */
  async *stream<K extends Key>(key: K, request: Optional<Given<K>>, signal?: AbortSignal): AsyncIterable<ServerEvent> {
    const response = await this.send(key, request as Plain, signal);
    if (!response.body) return;
    const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
    for await (const { event, id, data } of events)
      yield { event: event ?? "message", id, data: JSON.parse(data) as unknown };
  }

  private async send(
    key: string,
    { params = {}, query = {}, body }: Plain,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const [method = "GET", template = ""] = key.split(" ");
    const path = template.replaceAll(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(params[name] ?? ""));
    const url = new URL(this.url + path);
    for (const [name, value] of Object.entries(query)) {
      for (const item of Array.isArray(value) ? value : [value])
        if (item !== undefined) url.searchParams.append(name, String(item));
    }
    const text = typeof body === "string";
    this.options.trace?.(`${method} ${url.pathname}${url.search}`);
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        headers: {
          ...(this.options.token ? { authorization: `Bearer ${this.options.token}` } : {}),
          ...(body === undefined ? {} : { "content-type": text ? "application/yaml" : "application/json" }),
        },
        ...(body === undefined ? {} : { body: text ? body : JSON.stringify(body) }),
        ...(signal ? { signal } : {}),
      });
    } catch (error) {
      throw unreachable(this.url, error);
    }
    this.options.trace?.(`  ${response.status}`);
    if (response.ok) return response;
    throw await readProblem(response, this.url);
  }
}

function unreachable(url: string, error: unknown): unknown {
  const { name, cause, message } = error as Error & { cause?: { code?: string } };
  if (name === "AbortError") return error;
  const reason = name === "TimeoutError" ? "it did not answer in time" : (cause?.code ?? message);
  return failure("server.unreachable", { url, reason }, { cause: error });
}

/** A problem as the error that it was on the server. */
async function readProblem(response: Response, url: string): Promise<FuseError> {
  const text = await response.text();
  try {
    const problem = JSON.parse(text) as {
      code: string;
      message: string;
      hint?: string;
      field?: string;
      exit?: number;
      errors?: Diagnostic[];
      temporary?: boolean;
    };
    return new FuseError({
      code: problem.code ?? "internal",
      status: response.status,
      exit: problem.exit ?? 1,
      message: problem.message,
      hint: problem.hint,
      field: problem.field,
      temporary: problem.temporary ?? false,
      diagnostics: problem.errors ?? [],
    });
  } catch (error) {
    return failure(
      "server.unreachable",
      { url, reason: `it answered ${response.status} and no problem: is it a FuseML server?` },
      { cause: error },
    );
  }
}
