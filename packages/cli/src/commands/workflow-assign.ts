import { type Command, Option } from "commander";
import { exitCodeOf, followRun } from "../follow-run.ts";
import { inputValues } from "../inputs.ts";
import { printList } from "../output.ts";
import { action, codesetOf, collect, listOptions, nameOf, projectOf, withExample } from "../session.ts";

type Assign = {
  name?: string;
  codesetProject?: string;
  codesetName?: string;
  input?: string[];
  newer?: "parallel" | "cancel" | "queue";
  schedule?: string;
  timezone?: string;
  missed?: "skip" | "once" | "all";
  wait?: boolean;
};

/** What attaches workflows to codesets. */
export function assignmentCommands(workflow: Command): void {
  const target = (command: Command) =>
    command
      .option("-n, --name <name>", "workflow")
      .option("-p, --codeset-project <project>", "default: the current project")
      .option("-c, --codeset-name <codeset>", "default: the current codeset");
  withExample(
    target(
      workflow.command("assign [name]").description("attach a workflow to a codeset: it runs now and at each push"),
    )
      .option(
        "-i, --input <name=value>",
        "bind an input: code://* for every codeset, or a value; may be repeated",
        collect,
      )
      .addOption(
        new Option("--newer <policy>", "what a newer version does to the run of an older one").choices([
          "parallel",
          "cancel",
          "queue",
        ]),
      )
      .option("--schedule <cron>", 'start runs by the clock: "0 3 * * *"')
      .option("--timezone <name>", "of the schedule: Europe/Berlin", "UTC")
      .addOption(
        new Option("--missed <policy>", "moments that passed while no server ran").choices(["skip", "once", "all"]),
      )
      .option("--wait", "wait for the run that it starts; the exit code is its result"),
    "fuseml workflow assign --name mlflow-e2e --codeset-name wines --codeset-project workspace",
    "fuseml workflow assign mlflow-e2e --input mlflow-codeset=code://workspace/*",
    'fuseml workflow assign nightly -p workspace -c wines --schedule "0 3 * * *" --timezone Europe/Berlin',
  ).action(
    action<Assign>(async (session, options, args) => {
      const { client, terminal } = session;
      const name = nameOf(options, args, "workflow");
      const inputs = inputValues(options.input);
      const bound = Object.values(inputs).some((value) => value.startsWith("code://"));
      const { inputs: declared = [] } = await client.call("GET /workflows/{name}", { params: { name } });
      const takesCode = declared.some((input) => input.type === "codeset");
      const codeset =
        (bound || !takesCode) && !options.codesetName
          ? {}
          : {
              codesetProject: projectOf(session, options.codesetProject),
              codesetName: codesetOf(session, options.codesetName),
            };
      const { runs } = await client.call("POST /workflows/assignments", {
        query: { name, ...codeset },
        body: {
          inputs,
          ...(options.newer ? { newer: options.newer } : {}),
          ...(options.schedule
            ? {
                schedule: {
                  cron: options.schedule,
                  timezone: options.timezone ?? "UTC",
                  ...(options.missed ? { missed: options.missed } : {}),
                },
              }
            : {}),
        },
      });
      terminal.out(
        `Workflow "${name}" assigned to ${codeset.codesetName ? `codeset "${codeset.codesetProject}/${codeset.codesetName}"` : Object.values(inputs).join(", ")}\n`,
      );
      terminal.out(
        runs.length > 0
          ? `Started ${runs.join(", ")}\n`
          : options.schedule
            ? "Runs start by its schedule\n"
            : "No run was started: nothing new to run\n",
      );
      if (options.wait)
        for (const run of runs)
          process.exitCode = Math.max(
            Number(process.exitCode ?? 0),
            exitCodeOf(await followRun(client, run, terminal)),
          );
    }),
  );
  withExample(
    target(workflow.command("unassign [name]").description("detach a workflow from a codeset")),
    "fuseml workflow unassign mlflow-e2e -c wines -p workspace",
  ).action(
    action<Assign>(async (session, options, args) => {
      const name = nameOf(options, args, "workflow");
      const query = {
        codesetProject: projectOf(session, options.codesetProject),
        codesetName: codesetOf(session, options.codesetName),
      };
      await session.client.call("DELETE /workflows/assignments/{name}", { params: { name }, query });
      session.terminal.out(
        `Workflow "${name}" unassigned from codeset "${query.codesetProject}/${query.codesetName}"\n`,
      );
    }),
  );
  withExample(
    listOptions(
      workflow
        .command("list-assignments")
        .description("list what is assigned to what")
        .option("-n, --name <name>", "of this workflow"),
    ),
    "fuseml workflow list-assignments",
  ).action(
    action<{ name?: string; format: string; field?: string[] }>(async ({ client, terminal }, options) => {
      const assignments = await client.call("GET /workflows/assignments", {
        query: options.name ? { name: options.name } : {},
      });
      printList(
        terminal,
        assignments,
        [
          { title: "Workflow", text: (of) => of.workflow },
          {
            title: "Codesets",
            text: (of) =>
              of.codesets.map((codeset) => `${codeset.project}/${codeset.name}`).join(", ") ||
              Object.values(of.inputs).join(", "),
          },
          { title: "Status", text: (of) => (of.status.available ? "Available" : "Unavailable") },
          { title: "Newer", text: (of) => of.newer },
          { title: "Next run", text: (of) => of.nextMoment ?? "" },
        ],
        options,
      );
    }),
  );
}
