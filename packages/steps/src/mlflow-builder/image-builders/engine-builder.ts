import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import Docker from "dockerode";
import { pack } from "tar-stream";
import { StepError } from "../../step/context.ts";
import { stageLabel } from "../containerfile.ts";
import type { ImageBuild, ImageBuilder } from "./image-builder.ts";

type EngineWord = {
  readonly stream?: string;
  readonly status?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
};

/** Builds with the API of the container engine that runs this step. */
export class EngineBuilder implements ImageBuilder {
  readonly name = "container engine";
  private readonly docker: Docker;

  /** @param socket of the engine */
  constructor(socket: string) {
    this.docker = new Docker({ socketPath: socket });
  }

  async buildAndPush({ context, file, name, args, insecure, say }: ImageBuild): Promise<void> {
    // podman asks for TLS unless it is told; Docker knows that a registry of this machine has none
    const tls = insecure ? { tlsVerify: "false" } : {};
    const build = await this.ask("build", () =>
      this.docker.buildImage(archive(context), {
        ...tls,
        dockerfile: file,
        t: name,
        buildargs: { ...args },
        networkmode: "host",
        rm: true,
        forcerm: true,
      }),
    );
    await this.follow(build, `the image could not be built`, say);
    const [repository = "", tag = ""] = splitTag(name);
    const push = await this.ask("push", () => this.docker.getImage(repository).push({ tag, authconfig: {}, ...tls }));
    await this.follow(push, `the image was built and could not be pushed to ${repository}`, () => undefined);
    // the stage in which the environment was made stays behind, without a name
    await this.docker.pruneImages({ filters: { label: [stageLabel], dangling: ["true"] } });
  }

  private async ask<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { json, message } = error as { json?: { message?: string }; message: string };
      throw new StepError(`the container engine refused the ${what}: ${json?.message ?? message}`);
    }
  }

  private follow(stream: NodeJS.ReadableStream, failed: string, say: (line: string) => void): Promise<void> {
    const last: string[] = [];
    return new Promise((resolve, reject) => {
      this.docker.modem.followProgress(
        stream,
        (error, words: EngineWord[]) => {
          const word = words?.find((one) => one.error !== undefined);
          if (!error && !word) return resolve();
          const reason = error?.message ?? word?.errorDetail?.message ?? word?.error ?? "";
          reject(
            new StepError(`${failed}: ${reason.trim()}\n${last.join("\n")}`.trim(), hintFor(reason, last.join("\n"))),
          );
        },
        ({ stream: text }: EngineWord) => {
          for (const line of stripVTControlCharacters(text ?? "")
            .split("\n")
            .filter((one) => one.trim())) {
            last.push(line.trimEnd());
            if (last.length > 15) last.shift();
            say(line.trimEnd());
          }
        },
      );
    });
  }
}

/** What to do about the words of an engine or a tool. @param log what the build printed last */
export function hintFor(reason: string, log = ""): string {
  if (/no space left|disk quota/i.test(`${reason}\n${log}`))
    return "the disk is full: free some space, then resume the run; no tag was pushed";
  if (/connection refused|EOF|dial tcp|no such host|reset by peer|unreachable|pinging/i.test(reason))
    return "the registry does not answer: when it is there again, resume the run; no tag was pushed";
  if (/unauthorized|denied|forbidden/i.test(reason)) return "the registry asks for a login";
  if (/manifest unknown|not found|no such image/i.test(reason)) return "check base_image, or miniconda_version";
  return "correct the requirements and push again; no tag was pushed";
}

const splitTag = (name: string): readonly string[] => {
  const at = name.lastIndexOf(":");
  return [name.slice(0, at), name.slice(at + 1)];
};

/** A directory as a tar stream. */
function archive(directory: string): NodeJS.ReadableStream {
  const tar = pack();
  const add = async (relative: string): Promise<void> => {
    for (const name of readdirSync(join(directory, relative)).sort()) {
      const path = relative === "" ? name : `${relative}/${name}`;
      const stat = lstatSync(join(directory, path));
      if (stat.isDirectory()) await add(path);
      else if (stat.isFile()) {
        const bytes = readFileSync(join(directory, path));
        await new Promise<void>((resolve, reject) => {
          tar.entry({ name: path, mode: stat.mode & 0o777 }, bytes, (error) => (error ? reject(error) : resolve()));
        });
      }
    }
  };
  add("").then(
    () => tar.finalize(),
    (error: unknown) => tar.destroy(error as Error),
  );
  return Readable.from(tar);
}
