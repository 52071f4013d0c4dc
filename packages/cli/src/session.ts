import { Client } from "@fuseml/client/client";
import { failure } from "@fuseml/core/errors";
import type { Command } from "commander";
import { Option } from "commander";
import { listFormats, type Terminal, terminal, valueFormats } from "./output.ts";
import { readSettings, type Settings } from "./settings.ts";

/** The options that every command takes. */
export type GlobalOptions = { url?: string; timeout?: string; verbose?: boolean };

/** What a command works with. */
export type Session = {
  readonly client: Client;
  readonly settings: Settings;
  readonly terminal: Terminal;
  readonly env: NodeJS.ProcessEnv;
};

export const defaultUrl = "http://127.0.0.1:8000";

export function openSession(command: Command): Session {
  const { url, timeout, verbose } = command.optsWithGlobals<GlobalOptions>();
  const { env } = process;
  const settings = readSettings(env);
  const seconds = Number(timeout ?? env.FUSEML_HTTP_TIMEOUT ?? 30);
  if (!(seconds > 0))
    throw failure("request.invalid", {
      message: `--timeout "${timeout ?? env.FUSEML_HTTP_TIMEOUT}" is not a number of seconds`,
    });
  const loud = verbose || /^(1|true)$/i.test(env.FUSEML_VERBOSE ?? "");
  const client = new Client({
    url: checkedUrl(url || env.FUSEML_SERVER_URL || settings.url || defaultUrl),
    token: env.FUSEML_TOKEN || settings.token,
    timeoutMs: seconds * 1000,
    ...(loud ? { trace: (line) => terminal.err(`${line}\n`) } : {}),
  });
  return { client, settings, terminal, env };
}

/** @throws `request.invalid` for what is no URL */
function checkedUrl(text: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text;
  throw failure("request.invalid", {
    message: `"${text}" is not the URL of a server`,
    hint: `write for example --url ${defaultUrl}`,
  });
}

/** Wraps the work of a command: it gets the session, its positional arguments and its options. */
export function action<Options>(work: (session: Session, options: Options, args: string[]) => Promise<void>) {
  return async function (this: Command): Promise<void> {
    await work(openSession(this), this.opts<Options & Record<string, never>>(), this.args);
  };
}

/** A command like commander's, with an example in its help. */
export const withExample = (command: Command, ...examples: string[]): Command =>
  command.addHelpText(
    "after",
    `\nExample${examples.length > 1 ? "s" : ""}:\n${examples.map((example) => `  $ ${example}`).join("\n")}\n`,
  );

export const collect = (value: string, before: string[] = []): string[] => [...before, value];

/** `-o/--format` and `--field` of commands that list. */
export const listOptions = (command: Command): Command =>
  command
    .addOption(new Option("-o, --format <format>", "how to print").choices(listFormats).default("table"))
    .option("--field <column>", "a column to show, as TITLE or TITLE:path.to.value; may be repeated", collect);

/** `-o/--format` of commands that show one thing. */
export const valueOptions = (command: Command, fallback: (typeof valueFormats)[number] = "yaml"): Command =>
  command.addOption(new Option("-o, --format <format>", "how to print").choices(valueFormats).default(fallback));

/** The project that is meant: given, or the current one. */
export function projectOf(session: Session, given: string | undefined): string {
  const project = given ?? session.env.FUSEML_PROJECT ?? session.settings.currentproject;
  if (!project)
    throw failure("request.invalid", {
      message: "which project?",
      hint: "name it with --project, or choose one with: fuseml project set NAME",
    });
  return project;
}

export function codesetOf(session: Session, given: string | undefined): string {
  const codeset = given ?? session.settings.currentcodeset;
  if (!codeset)
    throw failure("request.invalid", {
      message: "which codeset?",
      hint: "name it, or choose one with: fuseml codeset set NAME",
    });
  return codeset;
}

/** A required name: as `-n/--name` (the original client) or as an argument. */
export function nameOf(options: { name?: string }, args: readonly string[], what: string): string {
  const name = options.name ?? args[0];
  if (!name) throw failure("request.invalid", { message: `which ${what}?`, hint: `name it: --name NAME` });
  return name;
}

/** `KEY:VALUE` as upstream writes it, `KEY=VALUE` as everybody else. */
export function keyValues(pairs: readonly string[] | undefined, flag: string): Record<string, string> {
  return Object.fromEntries(
    (pairs ?? []).map((pair) => {
      const match = /^([^:=]+)[:=](.*)$/s.exec(pair);
      if (!match?.[1]) throw failure("request.invalid", { message: `${flag} "${pair}" is not KEY=VALUE` });
      return [match[1], match[2] ?? ""];
    }),
  );
}
