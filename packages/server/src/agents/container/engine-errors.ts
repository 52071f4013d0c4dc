import { type FuseError, failure } from "@fuseml/core/errors";

/** The words of an engine's error, whatever form they came in. */
export function wordsOf(error: unknown): string {
  const { json, message } = error as { json?: { message?: string; cause?: string }; message?: string };
  // the client puts the answer's status before the words
  return (json?.message ?? message ?? String(error)).replace(/^\(HTTP code \d+\) [a-z ]+ - /, "").trim();
}

export const statusOf = (error: unknown): number | undefined => (error as { statusCode?: number }).statusCode;

const isGone = (error: unknown): boolean => {
  const { code } = error as { code?: string };
  return ["ECONNREFUSED", "ENOENT", "ECONNRESET", "EPIPE", "ETIMEDOUT"].includes(code ?? "");
};

/** Whether the engine itself did not answer. */
export const isUnreachable = (error: unknown): boolean => statusOf(error) === undefined && isGone(error);

/** Whether an engine unmounted a container's files while it was to mount them: the same once more will do. */
export const isMountRace = (error: unknown): boolean => /mounting storage for container/.test(wordsOf(error));

/** What an engine said about an image that it could not get, in the words of the catalogue. */
export function imageFailure(image: string, error: unknown): FuseError {
  const words = wordsOf(error);
  const of = { image, reason: shorten(words) };
  if (isUnreachable(error)) return failure("container.engine-gone", { reason: words }, { cause: error });
  if (/no space left|disk quota/i.test(words))
    return failure("disk.full", { where: "the storage of the container engine" }, { cause: error });
  if (
    /no matching manifest|no image found in manifest list|no image found in image index|choosing an image/i.test(words)
  )
    return failure("image.wrong-architecture", { ...of, architecture: "this machine's" }, { cause: error });
  if (/unauthorized|denied|forbidden|authentication required|no basic auth/i.test(words))
    return failure("image.denied", of, { cause: error });
  if (/manifest unknown|not found|name unknown|does not exist|no such image|repository .* not found/i.test(words))
    return failure("image.not-found", of, { cause: error });
  if (
    /connection refused|no such host|timeout|dial tcp|i\/o|network|EOF|server gave HTTP response|tls|x509|pinging/i.test(
      words,
    )
  )
    return failure("image.registry-unreachable", of, { cause: error });
  return failure("image.not-pulled", of, { cause: error });
}

/** What an engine said when it could not start a container. */
export function startFailure(image: string, error: unknown): FuseError {
  const words = wordsOf(error);
  if (isUnreachable(error)) return failure("container.engine-gone", { reason: words }, { cause: error });
  if (/exec format error/i.test(words))
    return failure(
      "image.wrong-architecture",
      { image, architecture: "another", reason: shorten(words) },
      { cause: error },
    );
  if (
    /no such file or directory|executable file .*not found|no command specified|permission denied|OCI runtime.*not found|must provide a command/i.test(
      words,
    )
  )
    return failure("image.entrypoint", { image, reason: shorten(words) }, { cause: error });
  if (/no space left|disk quota/i.test(words))
    return failure("disk.full", { where: "the storage of the container engine" }, { cause: error });
  return failure("container.not-started", { image, reason: shorten(words) }, { cause: error });
}

const longest = 400;
const shorten = (text: string): string => (text.length > longest ? `…${text.slice(-longest)}` : text);
