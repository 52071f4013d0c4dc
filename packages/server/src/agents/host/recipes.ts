import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { failure } from "@fuseml/core/errors";
import type { EnvironmentStore } from "@fuseml/environments/store";
import { parse } from "yaml";
import { z } from "zod";

/** How this machine runs an image without containers. */
export type HostRecipe = { readonly command: readonly string[]; readonly env: Readonly<Record<string, string>> };

/** Images that the host agent makes itself are named so; the tag is the fingerprint of a Python environment. */
export const hostRegistry = "fuseml.local";

const recipeFile = z.strictObject({
  recipes: z.array(
    z.strictObject({
      image: z.string().meta({ description: "image name; a * stands for anything" }),
      command: z.array(z.string()).min(1),
      env: z.record(z.string(), z.string()).default({}),
    }),
  ),
});

/** Knows what to run for an image: FuseML's own step programs, environments that the builder made, and the user's recipes. */
export class HostRecipes {
  private readonly parts: {
    /** Image repository → program file. */
    programs: Readonly<Record<string, string>>;
    /** Runs the program of a built environment. */
    runtime: string;
    environments: EnvironmentStore;
    /** `host-recipes.yaml`: the user's. Read again when it changes. */
    file: string;
    env: Readonly<Record<string, string>>;
    version: string;
  };
  private read: { at: number; recipes: z.output<typeof recipeFile>["recipes"] } = { at: -1, recipes: [] };

  constructor(parts: HostRecipes["parts"]) {
    this.parts = parts;
  }

  /** The recipe, or nothing when this machine has none. The user's come first. @throws `server.configuration` */
  find(image: string): HostRecipe | undefined {
    const own = this.userRecipes().find((recipe) => matches(recipe.image, image));
    if (own) return { command: own.command, env: own.env };
    const { repository, tag } = splitImage(image);
    const program = this.parts.programs[repository];
    if (program) return { command: [process.execPath, program], env: this.parts.env };
    if (repository.startsWith(`${hostRegistry}/`) && this.parts.environments.find(tag)) {
      return { command: [process.execPath, this.parts.runtime], env: { ...this.parts.env, FUSEML_ENVIRONMENT: tag } };
    }
    return undefined;
  }

  /** Says that an image would do something else than before: of a recipe, its text; of what we make, its version. */
  digest(image: string): string | undefined {
    const { repository, tag } = splitImage(image);
    const own = this.userRecipes().find((recipe) => matches(recipe.image, image));
    if (!own && this.parts.programs[repository]) return `${repository} of FuseML ${this.parts.version}`;
    if (!own && repository.startsWith(`${hostRegistry}/`)) {
      const environment = this.parts.environments.find(tag);
      return environment && `environment ${tag} lock ${digestOf(environment.lock)}`;
    }
    if (!own) return undefined;
    const text = JSON.stringify([image, own.command, own.env]);
    return `recipe ${digestOf(text)}`;
  }

  private userRecipes(): z.output<typeof recipeFile>["recipes"] {
    const { file } = this.parts;
    if (!existsSync(file)) return [];
    const { mtimeMs } = statSync(file);
    if (this.read.at !== mtimeMs) {
      const parsed = recipeFile.safeParse(parse(readFileSync(file, "utf8")));
      if (!parsed.success)
        throw failure("server.configuration", { name: file, reason: parsed.error.issues[0]?.message ?? "not valid" });
      this.read = { at: mtimeMs, recipes: parsed.data.recipes };
    }
    return this.read.recipes;
  }
}

const digestOf = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;

const matches = (pattern: string, image: string): boolean =>
  new RegExp(
    `^${pattern
      .split("*")
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*")}$`,
  ).test(image);

/** `host:5000/a/b:tag` as repository and tag. A digest counts as a tag. */
export function splitImage(image: string): { repository: string; tag: string } {
  const at = image.indexOf("@");
  if (at > 0) return { repository: image.slice(0, at), tag: image.slice(at + 1) };
  const colon = image.lastIndexOf(":");
  return colon > image.lastIndexOf("/")
    ? { repository: image.slice(0, colon), tag: image.slice(colon + 1) }
    : { repository: image, tag: "latest" };
}
