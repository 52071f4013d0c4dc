import assert from "node:assert/strict";
import { test } from "node:test";
import { builderParameters } from "./parameters.ts";

const parameters = (env: Record<string, string>) => {
  const said: string[] = [];
  const found = builderParameters({ env, workingDirectory: "/", say: (line) => said.push(line) });
  return { ...found, said };
};

test("every parameter of the seeds is taken", () => {
  const { said, ...found } = parameters({
    FUSEML_REGISTRY: "registry.fuseml-registry",
    FUSEML_PULL_REGISTRY: "127.0.0.1:30500",
    FUSEML_REPOSITORY: "team/trainer",
    FUSEML_MINICONDA_VERSION: "4.10.3",
    FUSEML_BASE_IMAGE: "python:3.6.13",
    FUSEML_VERBOSE: "true",
    FUSEML_COMPRESSED_CACHING: "true",
  });
  assert.deepEqual(found, {
    registry: "registry.fuseml-registry",
    pullRegistry: "127.0.0.1:30500",
    repository: "team/trainer",
    minicondaVersion: "4.10.3",
    baseImage: "python:3.6.13",
    verbose: true,
    compressedCaching: true,
    strict: false,
  });
  assert.deepEqual(said, []);
});

test("one that is wrong is an error", () => {
  assert.throws(() => parameters({ FUSEML_VERBOSE: "yes" }), /"verbose" is "yes"/);
  assert.throws(() => parameters({ FUSEML_COMPRESSED_CACHING: "1" }), /compressed_caching/);
  assert.throws(() => parameters({ FUSEML_REPOSITORY: "Not A Name" }), /repository/);
  assert.throws(() => parameters({ FUSEML_REGISTRY: "http://x/y" }), /registry/);
  assert.throws(() => parameters({ FUSEML_BASE_IMAGE: "!" }), /base_image/);
});
