import { existsSync, readFileSync, statSync } from "node:fs";
import { failure } from "@fuseml/core/errors";
import { parse } from "yaml";
import { z } from "zod";

/** `as` stands for `image`; a `*` at the end of both stands for the same rest. */
export type ImageRule = { readonly image: string; readonly as: string };

const rulesFile = z.strictObject({
  images: z.array(z.strictObject({ image: z.string().min(1), as: z.string().min(1) })),
});

/**
 * Which image is meant by a name in a workflow. FuseML's own step images have one place in the world (ghcr.io/fuseml) and
 * another one here; the user's rules in `images.yaml` come first.
 */
export class ImageNames {
  private readonly own: readonly ImageRule[];
  private readonly file: string;
  private readonly version: string;
  private read: { at: number; rules: readonly ImageRule[] } = { at: -1, rules: [] };

  /**
   * @param own FuseML's rules; whatever tag they are asked with, this version is meant
   * @param file the user's; read again when it changes
   */
  constructor(own: readonly ImageRule[], file: string, version: string) {
    this.own = own;
    this.file = file;
    this.version = version;
  }

  /** @throws `server.configuration` when the user's file is not valid */
  resolve(image: string): string {
    for (const rule of this.userRules()) {
      const name = applyRule(rule, image);
      if (name !== undefined) return name;
    }
    for (const rule of this.own) {
      const name = applyRule(rule, image);
      // the server and its steps are of one version
      if (name !== undefined) return `${name.replace(/[:@][^/]*$/, "")}:${this.version}`;
    }
    return image;
  }

  /** Whether one of FuseML's own step images is meant. */
  isOwn(image: string): boolean {
    const applies = (rule: ImageRule) => applyRule(rule, image) !== undefined;
    return !this.userRules().some(applies) && this.own.some(applies);
  }

  private userRules(): readonly ImageRule[] {
    const { file } = this;
    if (!existsSync(file)) return [];
    const { mtimeMs } = statSync(file);
    if (this.read.at !== mtimeMs) {
      const parsed = rulesFile.safeParse(parse(readFileSync(file, "utf8")));
      if (!parsed.success)
        throw failure("server.configuration", { name: file, reason: parsed.error.issues[0]?.message ?? "not valid" });
      this.read = { at: mtimeMs, rules: parsed.data.images };
    }
    return this.read.rules;
  }
}

function applyRule({ image: pattern, as }: ImageRule, image: string): string | undefined {
  if (!pattern.endsWith("*")) return pattern === image ? as : undefined;
  const start = pattern.slice(0, -1);
  if (!image.startsWith(start)) return undefined;
  return as.endsWith("*") ? `${as.slice(0, -1)}${image.slice(start.length)}` : as;
}
