import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { failure } from "@fuseml/core/errors";
import { parse, stringify } from "yaml";
import { z } from "zod";

/** What the config file remembers; the names are the original client's. */
const settingsSchema = z.looseObject({
  url: z.string().optional(),
  token: z.string().optional(),
  currentproject: z.string().optional(),
  currentcodeset: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
});
export type Settings = z.output<typeof settingsSchema>;

/** `~/.config/fuseml/config.yaml`, or below `XDG_CONFIG_HOME`. */
export const settingsFile = (env: NodeJS.ProcessEnv): string =>
  join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), ".config"), "fuseml", "config.yaml");

/** @throws `server.configuration` when the file is not what it should be */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const file = settingsFile(env);
  if (!existsSync(file)) return {};
  const lower = Object.fromEntries(
    Object.entries((parse(readFileSync(file, "utf8")) as object | null) ?? {}).map(([key, value]) => [
      key.toLowerCase(),
      value as unknown,
    ]),
  );
  const parsed = settingsSchema.safeParse(lower);
  if (!parsed.success)
    throw failure("server.configuration", { name: file, reason: parsed.error.issues[0]?.message ?? "not valid" });
  return parsed.data;
}

/** Changes some settings and keeps the others. It may hold a password: only its owner can read it. */
export function writeSettings(env: NodeJS.ProcessEnv, change: Partial<Settings>): void {
  const file = settingsFile(env);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const merged = Object.fromEntries(
    Object.entries({ ...readSettings(env), ...change }).filter(([, value]) => value !== undefined),
  );
  writeFileSync(`${file}.tmp`, stringify(merged), { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
  chmodSync(file, 0o600);
}
