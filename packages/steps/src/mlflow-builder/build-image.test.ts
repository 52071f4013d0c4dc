import assert from "node:assert/strict";
import { test } from "node:test";
import { targetOf } from "./build-image.ts";
import { containerfile } from "./containerfile.ts";
import { buildah, buildKit, kaniko } from "./image-builders/command-builders.ts";
import type { ImageBuild } from "./image-builders/image-builder.ts";

const plain = { repository: "mlflow/trainer", verbose: false, compressedCaching: false, strict: false };

test("where the image goes: the seeds' defaults mean the built-in registry", () => {
  const env = { FUSEML_BUILTIN_REGISTRY: "127.0.0.1:30500" };
  const builtin = { push: "127.0.0.1:30500", pull: "127.0.0.1:30500", repository: "mlflow/trainer" };
  assert.deepEqual(targetOf(plain, env), builtin);
  assert.deepEqual(targetOf({ ...plain, registry: "registry.fuseml-registry" }, env), builtin);
  assert.deepEqual(targetOf({ ...plain, registry: "r.example.org", repository: "a/b" }, env), {
    push: "r.example.org",
    pull: "r.example.org",
    repository: "a/b",
  });
  assert.equal(
    targetOf({ ...plain, registry: "r.cluster", pullRegistry: "127.0.0.1:30500" }, env).pull,
    "127.0.0.1:30500",
  );
  assert.throws(() => targetOf(plain, {}), /keeps no registry/);
});

const image = { runtimeImage: "r/fuseml/mlflow-runtime:1", fingerprint: "abc", certificates: false, args: [] };

test("on FuseML's own base nothing has to be copied; on another one the programs are", () => {
  const own = containerfile({ ...image, baseImage: undefined });
  assert.match(own, /^FROM r\/fuseml\/mlflow-runtime:1 AS environment$/m);
  assert.doesNotMatch(own, /--from=fuseml/);
  const other = containerfile({ ...image, baseImage: "python:3.12" });
  assert.match(other, /^FROM python:3.12 AS environment$/m);
  assert.equal(other.match(/COPY --from=fuseml \/opt\/fuseml /g)?.length, 2);
});

test("code, certificates and build arguments are in the first stage only; the last one has no root", () => {
  const text = containerfile({ ...image, baseImage: undefined, certificates: true, args: ["PIP_INDEX_URL"] });
  const [, first = "", last = ""] = text.split(/^FROM /m);
  assert.match(first, /ARG PIP_INDEX_URL[\s\S]*COPY project[\s\S]*COPY certificates/);
  assert.doesNotMatch(last, /ARG|project \/project|certificates/);
  assert.match(last, /USER 1000:1000/);
});

const build: ImageBuild = {
  context: "/c",
  file: "Containerfile",
  name: "r/a/b:1",
  args: { PIP_INDEX_URL: "https://u:s3cr3t@x" },
  compressedCaching: true,
  insecure: true,
  say: () => undefined,
};

test("the command lines of tools hold no values of build arguments", () => {
  for (const tool of [buildah, buildKit, kaniko]) {
    const text = JSON.stringify(tool.commands(build));
    assert.doesNotMatch(text, /s3cr3t/, tool.name);
    assert.match(text, /r\/a\/b:1/, tool.name);
  }
});

test("compressed caching is Kaniko's", () => {
  assert.ok(kaniko.commands(build)[0]?.includes("--compressed-caching=true"));
});
