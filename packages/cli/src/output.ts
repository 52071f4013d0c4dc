import { failure } from "@fuseml/core/errors";
import { suggest } from "@fuseml/core/nearest";
import Table from "cli-table3";
import { stringify as toCsv } from "csv-stringify/sync";
import { stringify as toYaml } from "yaml";
import { outColours as pc } from "./colours.ts";

/** Where a command writes: results to `out`, everything else to `err`, so that results can be piped. */
export type Terminal = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Columns of the terminal, or undefined when `out` is none. */
  readonly width: number | undefined;
  readonly interactive: boolean;
};

export const terminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  width: process.stdout.isTTY ? process.stdout.columns : undefined,
  interactive: Boolean(process.stderr.isTTY),
};

export const listFormats = ["table", "csv", "json", "yaml"] as const;
export const valueFormats = ["text", "json", "yaml"] as const;

/** A column of a list: its title, and how its text is found. */
export type Column<T> = { readonly title: string; readonly text: (item: T) => string };

/** Prints a list: a table for people, or what a program reads. `fields` picks and adds columns: `TITLE` or `TITLE:path.to.value`. */
export function printList<T extends object>(
  at: Terminal,
  items: readonly T[],
  columns: readonly Column<T>[],
  options: { format: string; field?: readonly string[] },
): void {
  const chosen = options.field?.length ? options.field.map((text) => columnOf(text, columns)) : columns;
  const rows = items.map((item) => chosen.map((column) => column.text(item)));
  switch (options.format) {
    case "json":
      return at.out(`${JSON.stringify(items, null, 2)}\n`);
    case "yaml":
      return at.out(toYaml(items));
    case "csv":
      return at.out(toCsv([chosen.map((column) => column.title), ...rows]));
    default:
      if (items.length === 0) return at.err("nothing found\n");
      return at.out(
        `${renderTable(
          chosen.map((column) => column.title),
          rows,
          at.width,
        )}\n`,
      );
  }
}

/** Prints one thing. `text` is the form for people. */
export function printValue(at: Terminal, value: unknown, format: string, text?: () => string): void {
  if (format === "json") at.out(`${JSON.stringify(value, null, 2)}\n`);
  else if (format === "text" && text) at.out(`${text()}\n`);
  else at.out(toYaml(value));
}

function columnOf<T extends object>(text: string, columns: readonly Column<T>[]): Column<T> {
  const [title = "", ...path] = text.split(":");
  if (path.length > 0)
    return {
      title,
      text: (item) =>
        show(
          path
            .join(":")
            .split(".")
            .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], item),
        ),
    };
  const found = columns.find((column) => column.title.toLowerCase() === title.toLowerCase());
  if (found) return found;
  throw failure("request.invalid", {
    message: `there is no column "${title}"`,
    hint: `${suggest(
      title,
      columns.map((column) => column.title),
      "columns",
    )}; or give a path: ${title}:path.to.value`,
  });
}

const show = (value: unknown): string =>
  value === undefined || value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);

const bare = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "  ",
};

/** Columns padded to their contents; on a terminal the widest one is cut so that lines fit. */
export function renderTable(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
): string {
  const widths = titles.map((title, index) =>
    Math.max(
      title.length,
      ...rows.map((row) => Math.max(...(row[index] ?? "").split("\n").map((line) => line.length))),
    ),
  );
  if (width !== undefined) {
    const gaps = 2 * (titles.length - 1);
    for (let over = sum(widths) + gaps - width; over > 0; over = sum(widths) + gaps - width) {
      const widest = widths.indexOf(Math.max(...widths));
      const floor = Math.max(8, (titles[widest] ?? "").length);
      const next = Math.max(floor, (widths[widest] ?? 0) - over);
      if (next === widths[widest]) break;
      widths[widest] = next;
    }
  }
  const table = new Table({
    head: titles.map((title) => pc.bold(title.toUpperCase())),
    chars: bare,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
    colWidths: widths,
  });
  table.push(...rows.map((row) => row.map((cell, index) => cut(cell, widths[index] ?? cell.length))));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
const cut = (text: string, width: number): string =>
  text
    .split("\n")
    .map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line))
    .join("\n");

/** `2m 3s`, `850ms`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${Math.floor(seconds % 60)}s`;
  return `${Math.floor(seconds / 3600)}h ${Math.floor((seconds % 3600) / 60)}m`;
}
