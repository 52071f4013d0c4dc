import { failure } from "@fuseml/core/errors";
import type { Session } from "./session.ts";

/** `--input NAME=VALUE`, any number of them. */
export const inputValues = (given: readonly string[] | undefined): Record<string, string> =>
  Object.fromEntries(
    (given ?? []).map((pair) => {
      const equals = pair.indexOf("=");
      if (equals < 1) throw failure("request.invalid", { message: `--input "${pair}" is not NAME=VALUE` });
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );

/** `--codeset` as the one codeset input of a workflow. @throws `assignment.ambiguous` */
export async function codesetInput(
  { client }: Session,
  name: string,
  codeset: string,
): Promise<Record<string, string>> {
  const { inputs = [] } = await client.call("GET /workflows/{name}", { params: { name } });
  const [only, another] = inputs.filter((input) => input.type === "codeset");
  if (!only || another)
    throw failure("assignment.ambiguous", { workflow: name, inputs: inputs.map((input) => input.name).join(", ") });
  return { [only.name]: codeset };
}
