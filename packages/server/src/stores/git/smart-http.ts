import { spawn } from "node:child_process";
import type { IncomingMessage } from "node:http";
import { failure } from "@fuseml/core/errors";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { execute } from "../../platform/processes/execute.ts";
import { gitEnvironment } from "./git-code-store.ts";

export type GitHttpParts = {
  /** Holds `<project>/<name>.git`. */
  readonly root: string;
  readonly exists: (project: string, name: string) => Promise<boolean>;
  /** @throws `auth.required` or `auth.invalid`: the client is asked for a name and a password */
  readonly authorize: (request: FastifyRequest, project: string, write: boolean) => Promise<void>;
  /** After a push, before the client is told that it is over. */
  readonly pushed: (project: string, name: string) => Promise<void>;
};

type GitRequest = FastifyRequest<{
  Params: { project: string; repository: string; "*": string };
  Querystring: { service?: string };
}>;

/** Git's smart HTTP protocol, by git's own `http-backend`: clone, fetch, push, protocol v2. */
export async function gitHttp(app: FastifyInstance, parts: GitHttpParts): Promise<void> {
  const backend = `${(await execute("git", ["--exec-path"])).trim()}/git-http-backend`;
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
    scope.route({
      method: ["GET", "POST"],
      url: "/git/:project/:repository/*",
      handler: async (request, reply) => serve(backend, parts, request as GitRequest, reply),
    });
  });
}

async function serve(backend: string, parts: GitHttpParts, request: GitRequest, reply: FastifyReply): Promise<unknown> {
  const { project, repository } = request.params;
  const name = repository.replace(/\.git$/, "");
  const path = request.params["*"];
  const write = path === "git-receive-pack" || request.query.service === "git-receive-pack";
  try {
    await parts.authorize(request, project, write);
  } catch (error) {
    if ((error as { status?: number }).status === 401) reply.header("www-authenticate", 'Basic realm="FuseML"');
    throw error;
  }
  if (!(await parts.exists(project, name))) throw failure("codeset.not-found", { name: `${project}/${name}` });

  const body = request.method === "POST" ? (request.body as IncomingMessage) : undefined;
  const header = (key: string) => String(request.headers[key] ?? "");
  const child = spawn(backend, [], {
    stdio: ["pipe", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      ...gitEnvironment,
      GIT_PROJECT_ROOT: parts.root,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: `/${project}/${name}.git/${path}`,
      QUERY_STRING: request.url.split("?")[1] ?? "",
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: header("content-type"),
      REMOTE_USER: "fuseml",
      REMOTE_ADDR: request.ip,
      ...(header("content-length") ? { CONTENT_LENGTH: header("content-length") } : {}),
      ...(header("content-encoding") ? { HTTP_CONTENT_ENCODING: header("content-encoding") } : {}),
      ...(header("git-protocol") ? { GIT_PROTOCOL: header("git-protocol") } : {}),
    },
  });
  // the back end may end without reading all of a refused request
  child.stdin.on("error", () => undefined);
  if (body) body.pipe(child.stdin);
  else child.stdin.end();
  child.stderr.on("data", (chunk: Buffer) => request.log.warn({ git: chunk.toString("utf8").trim() }, "git says"));

  reply.hijack();
  const { raw } = reply;
  raw.on("close", () => child.kill());
  let head: Buffer | undefined = Buffer.alloc(0);
  // the last bytes of a push are held back until the commits are published
  const held: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => {
    if (head !== undefined) {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      const { status, headers } = cgiHead(head.subarray(0, end).toString("latin1"));
      raw.writeHead(status, headers);
      const rest = head.subarray(end + 4);
      head = undefined;
      if (rest.length > 0) write ? held.push(rest) : raw.write(rest);
    } else if (write) held.push(chunk);
    else if (!raw.write(chunk)) {
      child.stdout.pause();
      raw.once("drain", () => child.stdout.resume());
    }
  });
  const finish = async () => {
    try {
      if (path === "git-receive-pack") await parts.pushed(project, name);
    } catch (error) {
      request.log.error({ err: error }, "a push could not be published; it will be at the next start or push");
    }
    if (head !== undefined) raw.writeHead(500, { "content-type": "text/plain" });
    raw.end(Buffer.concat(held));
  };
  child.on("error", (error) => {
    request.log.error({ err: error }, "git http-backend could not be started");
    raw.destroy();
  });
  child.on("close", () => void finish());
  return reply;
}

function cgiHead(text: string): { status: number; headers: Record<string, string> } {
  const headers: Record<string, string> = {};
  let status = 200;
  for (const line of text.split("\r\n")) {
    const colon = line.indexOf(":");
    const [name, value] = [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
    if (name.toLowerCase() === "status") status = Number.parseInt(value, 10);
    else if (name) headers[name] = value;
  }
  return { status, headers };
}
