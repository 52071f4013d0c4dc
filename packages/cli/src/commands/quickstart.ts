import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client } from "@fuseml/client/client";
import { FuseError, failure } from "@fuseml/core/errors";
import { imageCache, publishImages } from "@fuseml/images/publish";
import { type Command, Option } from "commander";
import { errColours as pc } from "../colours.ts";
import { followRun } from "../follow-run.ts";
import { pushSnapshot } from "../git.ts";
import type { Terminal } from "../output.ts";
import { Progress } from "../progress.ts";
import { dataDirectory, startServer, stopServer } from "../server-process.ts";
import { action, withExample } from "../session.ts";
import { writeSettings } from "../settings.ts";
import { ensureCodeset } from "./codeset.ts";
import { installBundle } from "./extension.ts";

const examples = fileURLToPath(new URL("../../../../examples/", import.meta.url));
const project = "workspace";
const codeset = "wines";
const workflow = "mlflow-e2e";

type Agent = "host" | "container";

export function addQuickstartCommand(program: Command): void {
  withExample(
    program
      .command("quickstart")
      .description("from nothing to a served model: server, MLflow, an example codeset, a workflow, a prediction")
      .addOption(
        new Option(
          "--agent <agent>",
          "where steps run: as processes of this machine (host, the default), or in containers",
        ).choices(["host", "container"]),
      )
      .option("--stop", "stop everything that it started before it exits"),
    "fuseml quickstart",
  ).action(
    action<{ stop?: boolean; agent?: Agent }>(async ({ terminal, env }, options) => {
      const agents = options.agent ?? env.FUSEML_AGENTS ?? "host";
      const agent = agents.includes("container") ? "container" : "host";
      try {
        await quickstart(terminal, { ...env, FUSEML_AGENTS: agents }, agent, options.stop ?? false);
      } finally {
        if (options.stop && (await stopServer(dataDirectory(env))))
          terminal.err(`${pc.green("✓")} everything stopped\n`);
      }
    }),
  );
}

async function quickstart(terminal: Terminal, env: NodeJS.ProcessEnv, agent: Agent, willStop: boolean): Promise<void> {
  const progress = new Progress(terminal);
  const since = performance.now();
  progress.start("starting the control plane");
  const { server, started } = await startServer(env).catch((error: unknown) => {
    progress.fail("the control plane could not be started");
    throw error;
  });
  progress.done(`control plane ${started ? "started" : "is running"}: ${server.url}, data in ${dataDirectory(env)}`);
  const client = new Client({ url: server.url, token: env.FUSEML_TOKEN, timeoutMs: 60_000 });
  writeSettings(env, { url: server.url });
  if (agent === "container") await provideImages(client, env, progress);

  for (const [name, what] of [
    ["mlflow", "MLflow tracking server and artifact store"],
    ["kserve", "serving platform"],
  ] as const) {
    const from = performance.now();
    await installBundle({ client, terminal }, name, `installing the ${name} extension (${what})`);
    progress.done(`extension ${name}: ${what}`, performance.now() - from);
  }

  const commit = await publishExample(client, env, progress);
  const definition = readFileSync(join(examples, "workflows", `${workflow}.yaml`), "utf8");
  await unlessThere("workflow.exists", () => client.call("POST /workflows", { body: definition }));
  progress.start("assigning the workflow");
  const { runs } = await client.call("POST /workflows/assignments", {
    query: { name: workflow, codesetProject: project, codesetName: codeset },
  });
  progress.done(`workflow ${workflow} assigned to ${project}/${codeset}`);
  const run = runs[0] ?? (await unfinishedRun(client, commit));
  if (run) {
    const { status } = await followRun(client, run, terminal);
    if (status !== "Succeeded") throw failure("run.not-succeeded", { name: run, status });
  }
  await predict(client, progress, terminal);
  terminal.err(`\n${pc.bold("Done")} in ${((performance.now() - since) / 1000).toFixed(1)} s.\n`);
  if (!willStop) terminal.err(nextSteps(server.url));
}

/** FuseML's own step images, in the registry of the server. What is there already is not made again. */
async function provideImages(client: Client, env: NodeJS.ProcessEnv, progress: Progress): Promise<void> {
  const from = performance.now();
  progress.start("making the step images");
  const [{ address }, { version }] = await Promise.all([client.call("GET /registry"), client.call("GET /version")]);
  const pushed = await publishImages({
    directory: imageCache(env),
    version,
    say: (line) => progress.start(line),
    prefix: "fuseml",
    target: { registry: address },
  }).catch((error: unknown) => {
    progress.fail("the step images could not be made");
    throw error;
  });
  progress.done(`${pushed.length} images in the registry ${address}`, performance.now() - from);
}

/** The example is pushed once; after that the codeset is the newcomer's to change. */
async function publishExample(client: Client, env: NodeJS.ProcessEnv, progress: Progress): Promise<string> {
  progress.start("publishing the example codeset");
  await unlessThere("project.exists", () =>
    client.call("POST /projects", { query: { name: project, description: "made by the quickstart" } }),
  );
  const { url, user } = await ensureCodeset(client, project, codeset, {
    desc: "tells the cultivar of a wine, with scikit-learn",
    label: ["mlflow"],
  });
  const { head } = await client.call("GET /codesets/{project}/{name}", { params: { project, name: codeset } });
  if (head) {
    progress.done(`codeset ${project}/${codeset} is there: ${head.slice(0, 7)}`);
    return head;
  }
  const { commit } = await pushSnapshot(
    join(examples, "codesets", codeset),
    url,
    user,
    "The example: tell the cultivar of a wine",
  );
  writeSettings(env, { currentproject: project, currentcodeset: codeset, ...user });
  progress.done(`codeset ${project}/${codeset} pushed: ${commit.slice(0, 7)}`);
  return commit;
}

/** The run of the present commit that was cut off earlier and goes on, or a new one when it did not succeed. */
async function unfinishedRun(client: Client, commit: string): Promise<string | undefined> {
  const runs = await client.call("GET /workflows/runs", {
    query: { name: workflow, codesetProject: project, codesetName: codeset },
  });
  const newest = runs.find((run) => run.inputs.some((input) => input.value.endsWith(`:${commit}`)));
  if (newest?.status === "Succeeded") return undefined;
  if (newest && ["Pending", "Running"].includes(newest.status)) return newest.name;
  const again = await client.call("POST /workflows/{name}/runs", {
    params: { name: workflow },
    body: { inputs: { "mlflow-codeset": `${project}/${codeset}` } },
  });
  return again.name;
}

async function predict(client: Client, progress: Progress, terminal: Terminal): Promise<void> {
  const applications = await client.call("GET /applications", { query: { workflow } });
  const application = applications.find((candidate) => candidate.name.includes(codeset));
  if (!application) throw failure("application.not-found", { name: codeset });
  progress.start("asking for a prediction");
  const request = readFileSync(join(examples, "requests", `${codeset}.json`), "utf8");
  const answer = await whenReady(application.url, request);
  progress.done("prediction");
  const { summary } = await client.call("GET /applications/{name}/lineage", { params: { name: application.name } });
  terminal.out(
    `\n${pc.bold("POST")} ${application.url}\n${JSON.stringify(answer)}\n\n${pc.bold("Lineage")} ${summary}\n`,
  );
}

/** After a start of the server the model may still be loading. */
async function whenReady(url: string, body: string): Promise<unknown> {
  const deadline = performance.now() + 120_000;
  for (;;) {
    const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
    if (response.ok) return response.json();
    const { message = "no reason given" } = (await response.json()) as { message?: string };
    if (response.status !== 503 || performance.now() > deadline)
      throw failure("serving.bad-request", { reason: `the prediction failed: ${message}` });
    await pause(100);
  }
}

async function unlessThere(code: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof FuseError) || error.code !== code) throw error;
  }
}

const nextSteps = (url: string): string => `
${pc.bold("What to type next")}
  ${pc.dim("change the example: a push starts a new run, and the same URL serves the new model")}
  git clone ${url}/git/${project}/${codeset}.git
  cd ${codeset}    ${pc.dim("# change a default in MLproject, or train.py")}
  git commit -am "another one" && git push
  ${pc.dim("look at it")}
  npx fuseml run list
  npx fuseml run logs -f RUN
  npx fuseml application list
  ${pc.dim("stop everything")}
  npx fuseml server stop
`;
