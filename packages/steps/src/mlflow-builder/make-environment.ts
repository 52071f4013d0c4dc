/** Runs inside the build of a runtime image: makes the environment that a request asks for. `REQUEST.json DIRECTORY` */
import { readFileSync } from "node:fs";
import { ToolFailure } from "@fuseml/environments/command";
import { type EnvironmentRequest, EnvironmentStore } from "@fuseml/environments/store";

/** What the builder step writes into the build's context. */
export type EnvironmentBuild = { readonly request: EnvironmentRequest; readonly strict: boolean };

const [file = "", directory = ""] = process.argv.slice(2);
const { request, strict } = JSON.parse(readFileSync(file, "utf8")) as EnvironmentBuild;
const say = (line: string) => process.stdout.write(`${line}\n`);
try {
  const { environment } = await new EnvironmentStore(directory, "/tmp/fuseml-tools").ensure(request, { strict, say });
  say(`environment ${environment.fingerprint} made (Python ${environment.python})`);
} catch (error) {
  const words = error instanceof ToolFailure ? error.output : error instanceof Error ? error.message : String(error);
  const { hint } = error as { hint?: string };
  process.stderr.write(`the requirements could not be installed:\n${words}\n${hint ? `${hint}\n` : ""}`);
  process.exitCode = 1;
}
