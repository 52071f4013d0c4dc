import type { Command } from "commander";
import { runDuration } from "../follow-run.ts";
import { printList } from "../output.ts";
import type { Session } from "../session.ts";

export type RunFilters = {
  name?: string;
  codesetProject?: string;
  codesetName?: string;
  status?: string;
  limit?: string;
  before?: string;
  since?: string;
  project?: string;
  format: string;
  field?: string[];
};

export const addRunFilters = (command: Command): Command =>
  command
    .option("-n, --name <name>", "of this workflow")
    .option("--project <project>", "of this project")
    .option("-p, --codeset-project <project>", "of codesets of this project")
    .option("-c, --codeset-name <codeset>", "of this codeset")
    .option("-s, --status <status>", "Pending, Running, Succeeded, Failed or Cancelled")
    .option("--since <moment>", "created since: 2h, 3d, or an instant")
    .option("--limit <n>", "at most so many", "100")
    .option("--before <run>", "older than this run: the next page");

export async function listRuns({ client, terminal }: Session, options: RunFilters): Promise<void> {
  const { name, project, codesetProject, codesetName, status, since, before, limit } = options;
  const runs = await client.call("GET /workflows/runs", {
    query: {
      ...(name ? { name } : {}),
      ...(project ? { project } : {}),
      ...(since ? { since } : {}),
      ...(codesetProject ? { codesetProject } : {}),
      ...(codesetName ? { codesetName } : {}),
      ...(status ? { status } : {}),
      ...(before ? { before } : {}),
      limit: limit ?? "100",
    },
  });
  printList(
    terminal,
    runs,
    [
      { title: "Name", text: (of) => of.name },
      { title: "Workflow", text: (of) => of.workflowRef },
      { title: "Started", text: (of) => of.startTime.replace("T", " ").slice(0, 19) },
      { title: "Duration", text: (of) => runDuration(of) },
      { title: "Status", text: (of) => of.status },
    ],
    options,
  );
}
