import { basename, resolve } from "node:path";
import type { Client } from "@fuseml/client/client";
import { FuseError, failure } from "@fuseml/core/errors";
import type { Command } from "commander";
import { exitCodeOf, followRun } from "../follow-run.ts";
import { type GitUser, pushSnapshot } from "../git.ts";
import { printList, printValue, type Terminal } from "../output.ts";
import {
  action,
  codesetOf,
  collect,
  listOptions,
  projectOf,
  type Session,
  valueOptions,
  withExample,
} from "../session.ts";
import { writeSettings } from "../settings.ts";

type Target = { name?: string; project?: string };
type Register = Target & {
  desc?: string;
  label?: string[];
  user?: string;
  password?: string;
  wait?: boolean;
  message?: string;
};

export function addCodesetCommands(program: Command): void {
  const codeset = program.command("codeset").description("codesets: git repositories of ML code");
  const target = (command: Command) =>
    command
      .option("-n, --name <name>", "codeset")
      .option("-p, --project <project>", "project; default: the current one");
  const credentials = (command: Command) =>
    command
      .option("--user <name>", "git user (FUSEML_PROJECT_USER)")
      .option("--password <password>", "its password; better: FUSEML_PROJECT_PASSWORD");

  withExample(
    credentials(
      target(
        codeset.command("register <location>").description("register a codeset and push a directory or git URL to it"),
      ),
    )
      .option("-d, --desc <text>", "description")
      .option("--label <label>", "label; may be repeated", collect)
      .option("--wait", "wait for the runs that it starts"),
    "fuseml codeset register ./wines --name wines --project workspace --label mlflow",
  ).action(
    action<Register>(async (session, options, [location = "."]) => {
      const { name, project } = nameFor(session, options, location);
      const registered = await session.client.call("POST /codesets", {
        query: { name, project, description: options.desc ?? "", labels: options.label ?? [] },
      });
      writeSettings(session.env, {
        currentproject: project,
        currentcodeset: name,
        username: registered.username,
        password: registered.password,
      });
      session.terminal.out(`Codeset ${registered.codeset.url} successfully registered\n`);
      await push(session, { ...options, name, project }, location, registered.codeset.url, {
        username: registered.username,
        password: registered.password,
      });
    }),
  );
  withExample(
    credentials(
      target(
        codeset
          .command("push <location>")
          .description("publish a directory as the next commit of a codeset; register it when it is new"),
      ),
    )
      .option("-m, --message <text>", "commit message")
      .option("-d, --desc <text>", "description, when it is new")
      .option("--label <label>", "label, when it is new; may be repeated", collect)
      .option("--wait", "wait for the runs that it starts; the exit code is theirs"),
    "fuseml codeset push ./wines --project workspace --wait",
  ).action(
    action<Register>(async (session, options, [location = "."]) => {
      const { name, project } = nameFor(session, options, location);
      const { url, user } = await ensureCodeset(session.client, project, name, options);
      writeSettings(session.env, { currentproject: project, currentcodeset: name });
      await push(session, { ...options, name, project }, location, url, user);
    }),
  );
  withExample(
    listOptions(codeset.command("list").alias("ls").description("list codesets"))
      .option("-p, --project <project>", "of this project")
      .option("-l, --label <label>", "with this label")
      .option("--all", "of all projects"),
    "fuseml codeset list --all",
  ).action(
    action<{ project?: string; label?: string; all?: boolean; format: string; field?: string[] }>(
      async ({ client, terminal, settings }, options) => {
        const project = options.all ? undefined : (options.project ?? settings.currentproject);
        if (project && !options.project)
          terminal.err(`codesets of the current project ${project} only; --all lists those of every project\n`);
        const codesets = await client.call("GET /codesets", {
          query: { ...(project ? { project } : {}), ...(options.label ? { label: options.label } : {}) },
        });
        printList(
          terminal,
          codesets,
          [
            { title: "Name", text: (of) => of.name },
            { title: "Project", text: (of) => of.project },
            { title: "Description", text: (of) => of.description },
            { title: "Labels", text: (of) => of.labels.join(", ") },
            { title: "URL", text: (of) => of.url },
          ],
          options,
        );
      },
    ),
  );
  withExample(
    valueOptions(target(codeset.command("get [name]").description("show a codeset"))),
    "fuseml codeset get wines -p workspace",
  ).action(
    action<Target & { format: string }>(async (session, options, args) => {
      const params = {
        name: codesetOf(session, options.name ?? args[0]),
        project: projectOf(session, options.project),
      };
      printValue(
        session.terminal,
        await session.client.call("GET /codesets/{project}/{name}", { params }),
        options.format,
      );
    }),
  );
  withExample(
    target(
      codeset.command("delete [name]").alias("rm").description("delete a codeset, its repository and its assignments"),
    ),
    "fuseml codeset delete wines -p workspace",
  ).action(
    action<Target>(async (session, options, args) => {
      const name = options.name ?? args[0];
      if (!name) throw failure("request.invalid", { message: "which codeset?", hint: "name it: --name NAME" });
      const project = projectOf(session, options.project);
      await session.client.call("DELETE /codesets/{project}/{name}", { params: { name, project } });
      session.terminal.out(`Codeset ${project}/${name} successfully deleted\n`);
    }),
  );
  withExample(
    target(codeset.command("set [name]").description("choose the current codeset")),
    "fuseml codeset set wines -p workspace",
  ).action(
    action<Target>(async (session, options, args) => {
      const params = {
        name: codesetOf(session, options.name ?? args[0]),
        project: projectOf(session, options.project),
      };
      await session.client.call("GET /codesets/{project}/{name}", { params });
      writeSettings(session.env, { currentproject: params.project, currentcodeset: params.name });
      session.terminal.out(`Current codeset is now ${params.project}/${params.name}\n`);
    }),
  );
}

function nameFor(session: Session, options: Target, location: string): { name: string; project: string } {
  const name =
    options.name ??
    basename(resolve(location))
      .replace(/\.git$/, "")
      .replace(/[^A-Za-z0-9_-]+/g, "-");
  return { name, project: projectOf(session, options.project) };
}

/** The codeset, registered when it is not there, and its git user. */
export async function ensureCodeset(
  client: Client,
  project: string,
  name: string,
  about: { desc?: string; label?: string[] },
): Promise<{ url: string; user: GitUser }> {
  const params = { project, name };
  try {
    const { url } = await client.call("GET /codesets/{project}/{name}", { params });
    return { url, user: await client.call("GET /codesets/{project}/{name}/credentials", { params }) };
  } catch (error) {
    if (!(error instanceof FuseError) || error.code !== "codeset.not-found") throw error;
    const { codeset, username, password } = await client.call("POST /codesets", {
      query: { name, project, description: about.desc ?? "", labels: about.label ?? [] },
    });
    return { url: codeset.url, user: { username, password } };
  }
}

async function push(
  session: Session,
  options: Register & { name: string; project: string },
  location: string,
  url: string,
  granted: GitUser,
): Promise<void> {
  const { env, terminal, client } = session;
  const username = options.user ?? env.FUSEML_PROJECT_USER ?? granted.username;
  const password = options.password ?? env.FUSEML_PROJECT_PASSWORD ?? granted.password;
  const { commit, isNew } = await pushSnapshot(
    location,
    url,
    { username, password },
    options.message ?? `Published from ${basename(resolve(location))}`,
  );
  terminal.out(
    isNew
      ? `Published code://${options.project}/${options.name}/${commit}\n`
      : `Nothing changed: code://${options.project}/${options.name}/${commit}\n`,
  );
  if (options.wait) process.exitCode = await waitForRunsOf(client, terminal, options.project, options.name, commit);
}

/** Follows the runs that a commit started, one after the other. @returns the exit code */
async function waitForRunsOf(
  client: Client,
  terminal: Terminal,
  project: string,
  name: string,
  commit: string,
): Promise<number> {
  const runs = await client.call("GET /workflows/runs", { query: { codesetProject: project, codesetName: name } });
  const mine = runs.filter((run) => run.inputs.some((input) => input.value.endsWith(`:${commit}`))).reverse();
  if (mine.length === 0) terminal.err("no workflow is assigned to this codeset: nothing was started\n");
  let code = 0;
  for (const run of mine) code = Math.max(code, exitCodeOf(await followRun(client, run.name, terminal)));
  return code;
}
