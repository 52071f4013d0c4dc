import type { FastifyRequest } from "fastify";
import type { z } from "zod";

/** Who calls. `open` is everyone on a server without authentication, which listens on the loopback address only. */
export type Actor =
  | { readonly kind: "open" }
  | { readonly kind: "token"; readonly name: string; readonly roles: readonly string[] }
  | { readonly kind: "run"; readonly runId: string };

type AnyObject = z.ZodObject;
type In<S> = S extends z.ZodType ? z.input<S> : undefined;
type Out<S> = S extends z.ZodType ? z.output<S> : undefined;

/** A handler may give what it is not allowed to change. */
type Frozen<T> = T extends readonly (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: Frozen<T[K]> }
    : T;

/** One server-sent event. `id` lets a client that lost the connection go on where it was. */
export type ServerEvent = { readonly id?: string; readonly event: string; readonly data: unknown };

export type RouteContext<P, Q, B> = {
  readonly params: Out<P>;
  readonly query: Out<Q>;
  readonly body: Out<B>;
  readonly actor: Actor;
  readonly request: FastifyRequest;
  /** Aborted when the caller hangs up. */
  readonly signal: AbortSignal;
};

/**
 * A route is a schema and one call: validation, OpenAPI and the typed client come from it.
 * With `reply` null it answers 204 and nothing. With `stream` it answers server-sent events.
 */
export type Route<
  P extends AnyObject | undefined = AnyObject | undefined,
  Q extends AnyObject | undefined = AnyObject | undefined,
  B extends z.ZodType | undefined = z.ZodType | undefined,
  R extends z.ZodType | null = z.ZodType | null,
  S extends boolean = boolean,
> = {
  readonly summary: string;
  readonly tag: string;
  /** `anyone` needs no token; `run` is open to the token of a run, too. */
  readonly access?: "anyone" | "run";
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  readonly reply: R;
  readonly status?: 200 | 201 | 202 | 204;
  readonly stream?: S;
  /** Codes of the catalogue that the route answers with, beside the general ones. */
  readonly errors?: readonly string[];
  readonly handler: (
    context: RouteContext<P, Q, B>,
  ) => S extends true
    ? AsyncIterable<ServerEvent>
    : R extends z.ZodType
      ? Promise<Frozen<z.input<R>>> | Frozen<z.input<R>>
      : Promise<void> | void;
};

/** Gives the compiler the types of a route from its schemas. */
export function route<
  R extends z.ZodType | null,
  P extends AnyObject | undefined = undefined,
  Q extends AnyObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
  S extends boolean = false,
>(definition: Route<P, Q, B, R, S>): Route<P, Q, B, R, S> {
  return definition;
}

/** A route with its types forgotten, as the server keeps it. The key of a table of routes is `METHOD /path/{param}`. */
// biome-ignore lint/suspicious/noExplicitAny: the handler's parameter is contravariant; only `any` takes every route
export type AnyRoute = Route<any, any, any, any, any>;
export type Routes = Readonly<Record<string, AnyRoute>>;

/** What a client sends for a route and what it gets. */
export type RequestOf<T> =
  T extends Route<infer P, infer Q, infer B, infer _R, infer _S>
    ? { readonly params: In<P>; readonly query: In<Q>; readonly body: In<B> }
    : never;
export type ReplyOf<T> =
  T extends Route<infer _P, infer _Q, infer _B, infer R, infer _S>
    ? R extends z.ZodType
      ? z.output<R>
      : undefined
    : never;
