/** Builds that go wrong half-way: a clear error, no tag, nothing left on the engine. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connectEngine, socketPath } from "@fuseml/server/agents/container/engine-address";
import { noEngine, shellImage, testEngines } from "@fuseml/server/agents/container/test-engines.fixture";
import { buildah, buildKit, CommandBuilder } from "@fuseml/steps/mlflow-builder/image-builders/command-builders";
import { EngineBuilder } from "@fuseml/steps/mlflow-builder/image-builders/engine-builder";
import type { ImageBuild, ImageBuilder } from "@fuseml/steps/mlflow-builder/image-builders/image-builder";
import { findImage } from "@fuseml/steps/mlflow-builder/registry-look-up";
import { dockerd, start } from "./engines.ts";
import { breakingLine, startRegistry } from "./registry.ts";

/** A context whose build does what `lines` say. */
function contextOf(lines: readonly string[]): { directory: string; build: (name: string) => ImageBuild } {
  const directory = mkdtempSync(join(tmpdir(), "fuseml-context-"));
  writeFileSync(join(directory, "Containerfile"), `${lines.join("\n")}\n`);
  return {
    directory,
    build: (name) => ({
      context: directory,
      file: "Containerfile",
      name,
      args: { PIP_INDEX_URL: "https://user:s3cr3t@example.org/simple" },
      compressedCaching: false,
      insecure: true,
      say: () => undefined,
    }),
  };
}

async function withContext(lines: readonly string[], work: (build: (name: string) => ImageBuild) => Promise<void>) {
  const { directory, build } = contextOf(lines);
  try {
    await work(build);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What every back-end must do. */
function builderConformance(name: string, make: () => ImageBuilder, base: string): void {
  test(`${name} builds and pushes; build arguments do not stay in the image`, async () => {
    const registry = await startRegistry();
    try {
      await withContext([`FROM ${base}`, "RUN echo made > /made"], async (build) => {
        await make().buildAndPush(build(`${registry.address}/a/b:1`));
        const digest = await findImage(registry.address, "a/b", "1");
        assert.match(digest ?? "", /^sha256:/);
        const accept =
          "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
        const manifest = await fetch(`http://${registry.address}/v2/a/b/manifests/1`, { headers: { accept } });
        const { config } = (await manifest.json()) as { config: { digest: string } };
        const text = await (await fetch(`http://${registry.address}/v2/a/b/blobs/${config.digest}`)).text();
        assert.doesNotMatch(text, /s3cr3t/);
      });
    } finally {
      await registry.stop();
    }
  });

  test(`${name}: a build that fails says why, and pushes nothing`, async () => {
    const registry = await startRegistry();
    try {
      await withContext([`FROM ${base}`, "RUN echo these are the last words; exit 3"], async (build) => {
        await assert.rejects(make().buildAndPush(build(`${registry.address}/a/b:1`)), /last words/);
        assert.equal(await findImage(registry.address, "a/b", "1"), undefined);
      });
    } finally {
      await registry.stop();
    }
  });

  test(`${name}: a registry that goes in the middle of a push: an error that says so, and no half-pushed tag`, async () => {
    const registry = await startRegistry();
    const line = await breakingLine(registry.address, 2_000_000);
    try {
      await withContext([`FROM ${base}`, "RUN head -c 9000000 /dev/urandom > /large"], async (build) => {
        const error = await make()
          .buildAndPush(build(`${line.address}/a/b:1`))
          .then(
            () => undefined,
            (thrown: Error & { hint?: string }) => thrown,
          );
        assert.ok(error, "it should have failed");
        assert.match(error.hint ?? "", /registry does not answer.*no tag was pushed/, error.message);
        assert.equal(await findImage(registry.address, "a/b", "1"), undefined);
        // when the line is there again, the same build arrives
        await make().buildAndPush(build(`${registry.address}/a/b:1`));
        assert.match((await findImage(registry.address, "a/b", "1")) ?? "", /^sha256:/);
      });
    } finally {
      await line.stop();
      await registry.stop();
    }
  });
}

for (const { name, address } of testEngines()) {
  const socket = socketPath(address) ?? "";
  builderConformance(`container engine (${name})`, () => new EngineBuilder(socket), shellImage);

  test(`a build leaves no container behind (${name})`, async () => {
    const { docker } = await connectEngine(address);
    assert.deepEqual(await docker.listContainers({ all: true }), []);
  });
}

if (!noEngine) {
  test("a full disk while building is said to be one; nothing is pushed, and the engine is as before", async () => {
    const small = mkdtempSync(join(tmpdir(), "fuseml-small-"));
    const disk = join(small, "disk");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=420m", "tmpfs", disk]);
    const registry = await startRegistry();
    try {
      const engine = await start(
        dockerd(join(small, "engine"), disk),
        join(small, "engine"),
        process.env.FUSEML_TEST_BASE,
      );
      try {
        const builder = new EngineBuilder(socketPath(engine.address) ?? "");
        await withContext([`FROM ${shellImage}`, "RUN head -c 600000000 /dev/zero > /large"], async (build) => {
          const error = await builder.buildAndPush(build(`${registry.address}/a/b:1`)).then(
            () => undefined,
            (thrown: Error & { hint?: string }) => thrown,
          );
          assert.ok(error, "it should have failed");
          assert.match(error.hint ?? "", /the disk is full/, error.message);
          assert.equal(await findImage(registry.address, "a/b", "1"), undefined);
        });
        const { docker } = await connectEngine(engine.address);
        assert.deepEqual(await docker.listContainers({ all: true }), []);
        // and with less to write it works
        await withContext([`FROM ${shellImage}`, "RUN echo small > /small"], (build) =>
          builder.buildAndPush(build(`${registry.address}/a/b:1`)),
        );
      } finally {
        await engine.stop();
      }
    } finally {
      await registry.stop();
      execFileSync("umount", ["-l", disk]);
      rmSync(small, { recursive: true, force: true });
    }
  });
}

test("images are built with engines", { skip: noEngine }, () => assert.ok(testEngines().length > 0));

const buildahBase = process.env.FUSEML_TEST_BUILDAH;
if (buildahBase) builderConformance("Buildah", () => new CommandBuilder(buildah), buildahBase);

// BuildKit is in no distribution's packages: where it runs (BUILDKIT_HOST), a base image that it can pull makes this a test
const buildKitBase = process.env.FUSEML_TEST_BUILDKIT_BASE;
if (buildKitBase) builderConformance("BuildKit", () => new CommandBuilder(buildKit), buildKitBase);
