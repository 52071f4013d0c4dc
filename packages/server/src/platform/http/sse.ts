import type { FastifyReply } from "fastify";
import type { ServerEvent } from "./route.ts";

const heartbeatMs = 15_000;

/**
 * Answers with server-sent events until the source ends or the caller hangs up.
 * A source that fails before it yields anything is answered as a problem, so that `404` stays a `404`:
 * sources check what they were asked for and yield an opening event at once.
 */
export async function sendEvents(
  reply: FastifyReply,
  source: AsyncIterable<ServerEvent>,
  signal: AbortSignal,
): Promise<void> {
  const iterator = source[Symbol.asyncIterator]();
  let next = await iterator.next();
  reply.hijack();
  reply.raw.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
  });
  reply.raw.flushHeaders();
  const heartbeat = setInterval(() => reply.raw.write(": still here\n\n"), heartbeatMs);
  try {
    for (; !next.done && !signal.aborted; next = await iterator.next()) {
      if (!reply.raw.write(format(next.value))) await drained(reply, signal);
    }
  } catch (error) {
    reply.raw.write(
      format({ event: "error", data: { message: error instanceof Error ? error.message : String(error) } }),
    );
  } finally {
    clearInterval(heartbeat);
    reply.raw.end();
    await iterator.return?.();
  }
}

const format = ({ id, event, data }: ServerEvent): string =>
  `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;

function drained(reply: FastifyReply, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      reply.raw.off("drain", go);
      signal.removeEventListener("abort", go);
      resolve();
    };
    reply.raw.once("drain", go);
    signal.addEventListener("abort", go);
  });
}
