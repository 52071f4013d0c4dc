import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isLoopback } from "@fuseml/core/runnable/image-name";
import { fingerprint } from "@fuseml/environments/store";
import { readBuildable } from "../mlflow-project/project-file.ts";
import { projectRequirements, wantsConda } from "../mlflow-project/requirements.ts";
import { codesetOf, type StepContext, StepError, serverClient, writeOutput } from "../step/context.ts";
import { progress } from "./build-environment.ts";
import { containerfile, contextFiles } from "./containerfile.ts";
import { chooseBuilder } from "./image-builders/choose.ts";
import type { EnvironmentBuild } from "./make-environment.ts";
import { type BuilderParameters, builderParameters } from "./parameters.ts";
import { findImage } from "./registry-look-up.ts";

/** How workflows name the registry that comes with FuseML. */
const builtinRegistry = "registry.fuseml-registry";
const defaultMiniconda = "4.10.3";
/** What a build takes of the step's environment. */
const buildArgs = /^(.*_PROXY|.*_proxy|PIP_INDEX_URL|PIP_EXTRA_INDEX_URL|UV_DEFAULT_INDEX|UV_INDEX|UV_INDEX_URL)$/;

type Target = { readonly push: string; readonly pull: string; readonly repository: string };

/** Where the image goes, and how those who run it name it. */
export function targetOf({ registry, pullRegistry, repository }: BuilderParameters, env: NodeJS.ProcessEnv): Target {
  const asked = registry ?? builtinRegistry;
  const builtin = env.FUSEML_BUILTIN_REGISTRY;
  if (asked === builtinRegistry && builtin === undefined)
    throw new StepError(
      "this FuseML server keeps no registry to push to",
      'name one with the parameter "registry", or let the server keep one: apt-get install docker-registry',
    );
  const push = asked === builtinRegistry ? (builtin ?? asked) : asked;
  return { push, pull: pullRegistry ?? push, repository };
}

/** In a container: project file → requirements → runtime image, built unless the registry has it → its name as output. */
export async function buildRuntimeImage(context: StepContext): Promise<void> {
  const { env, say, workingDirectory } = context;
  const parameters = builderParameters(context);
  const target = targetOf(parameters, env);
  const project = readBuildable(workingDirectory);
  const conda = wantsConda(project, workingDirectory) && parameters.baseImage === undefined;
  const { request, from, warnings } = projectRequirements(project, workingDirectory, {
    strict: parameters.strict,
    condaTool: conda ? "/opt/conda/bin/conda" : "",
  });
  for (const warning of warnings) say(`WARNING: ${warning}`);
  say(`requirements from ${from}: ${request.requirements.join(", ") || "(a conda environment)"}`);
  const runtimeImage = env.FUSEML_RUNTIME_IMAGE;
  if (!runtimeImage)
    throw new StepError("FUSEML_RUNTIME_IMAGE is not set", "this program is run by FuseML's container agent");
  const baseImage = baseOf(parameters, conda, env);
  const environment = fingerprint(request);
  const tag = createHash("sha256")
    .update(JSON.stringify([environment, baseImage ?? "", await whatIsBehind(runtimeImage)]))
    .digest("hex")
    .slice(0, 16);
  const pullName = `${target.pull}/${target.repository}:${tag}`;
  const there = await findImage(target.push, target.repository, tag);
  if (there) {
    say(`image ${pullName} is there (${there}): the requirements did not change`);
  } else {
    const scratch = mkdtempSync(join(tmpdir(), "fuseml-build-"));
    try {
      const args = Object.fromEntries(
        Object.entries(env).filter(
          (entry): entry is [string, string] => entry[1] !== undefined && buildArgs.test(entry[0]),
        ),
      );
      const certificates = env.SSL_CERT_FILE !== undefined && existsSync(env.SSL_CERT_FILE);
      layOutContext(
        scratch,
        workingDirectory,
        { request, strict: parameters.strict },
        certificates ? env.SSL_CERT_FILE : undefined,
      );
      const text = containerfile({
        runtimeImage,
        baseImage,
        fingerprint: environment,
        certificates,
        args: Object.keys(args),
      });
      writeFileSync(join(scratch, "Containerfile"), text);
      const builder = chooseBuilder(context);
      say(
        `building ${target.push}/${target.repository}:${tag} on ${baseImage ?? "FuseML's base image"} (${builder.name})`,
      );
      if (parameters.verbose) say(text);
      await builder.buildAndPush({
        context: scratch,
        file: "Containerfile",
        name: `${target.push}/${target.repository}:${tag}`,
        args,
        compressedCaching: parameters.compressedCaching,
        insecure: isLoopback(target.push),
        say: parameters.verbose ? say : progress(say),
      });
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
  const digest = there ?? (await findImage(target.push, target.repository, tag));
  await register(context, pullName, digest, environment);
  writeOutput(context, "image", pullName);
}

/** The digest of an image, when its registry tells: a name may be given to another image. */
async function whatIsBehind(image: string): Promise<string> {
  const [, registry = "", repository = "", tag = ""] = /^([^/]+)\/(.+):([^:/]+)$/.exec(image) ?? [];
  return (registry ? await findImage(registry, repository, tag) : undefined) ?? image;
}

/** Nothing stands for FuseML's own base: then programs need not be copied. */
function baseOf(
  { baseImage, minicondaVersion }: BuilderParameters,
  conda: boolean,
  env: NodeJS.ProcessEnv,
): string | undefined {
  if (conda) return `docker.io/continuumio/miniconda3:${minicondaVersion ?? defaultMiniconda}`;
  return baseImage ?? env.FUSEML_BASE_IMAGE;
}

function layOutContext(
  directory: string,
  project: string,
  build: EnvironmentBuild,
  certificates: string | undefined,
): void {
  cpSync(project, join(directory, contextFiles.project), {
    recursive: true,
    filter: (path) => !/\/\.(git|fuseml)(\/|$)/.test(path.slice(project.length)),
  });
  writeFileSync(join(directory, contextFiles.request), JSON.stringify(build));
  if (certificates) cpSync(certificates, join(directory, contextFiles.certificates));
}

/** The image as a runnable artifact: its lineage is the run that calls. */
async function register(
  context: StepContext,
  image: string,
  digest: string | undefined,
  environment: string,
): Promise<void> {
  const client = serverClient(context);
  const codeset = codesetOf(context);
  if (!client || !codeset || !digest?.startsWith("sha256:")) return;
  const version = digest.slice("sha256:".length).slice(0, 16);
  const address = `runnable://${codeset.project}/${codeset.name}-trainer/${version}`;
  await client.call("POST /artifacts", {
    body: { address, location: image, digest, metadata: { kind: "trainer", format: "oci", environment } },
  });
  context.say(`registered ${address}`);
}
