import assert from "node:assert/strict";
import { test } from "node:test";
import { builderParameters } from "./build.ts";

const parameters = (env: Record<string, string>) => {
  const said: string[] = [];
  const found = builderParameters({ env, workingDirectory: "/", say: (line) => said.push(line) });
  return { ...found, said };
};

test("every parameter of the seeds is taken; those about images are said to be without effect", () => {
  const { said, ...found } = parameters({
    FUSEML_REGISTRY: "registry.fuseml-registry",
    FUSEML_PULL_REGISTRY: "127.0.0.1:30500",
    FUSEML_REPOSITORY: "team/trainer",
    FUSEML_MINICONDA_VERSION: "4.10.3",
    FUSEML_BASE_IMAGE: "python:3.6.13",
    FUSEML_VERBOSE: "true",
    FUSEML_COMPRESSED_CACHING: "true",
  });
  assert.deepEqual(found, { repository: "team/trainer", verbose: true, strict: false });
  assert.equal(said.length, 5);
  assert.match(said[0] ?? "", /"registry".*without effect/);
});

test("one that is wrong is an error, even where it has no effect", () => {
  assert.throws(() => parameters({ FUSEML_VERBOSE: "yes" }), /"verbose" is "yes"/);
  assert.throws(() => parameters({ FUSEML_COMPRESSED_CACHING: "1" }), /compressed_caching/);
  assert.throws(() => parameters({ FUSEML_REPOSITORY: "Not A Name" }), /repository/);
  assert.throws(() => parameters({ FUSEML_REGISTRY: "http://x/y" }), /registry/);
  assert.throws(() => parameters({ FUSEML_BASE_IMAGE: "!" }), /base_image/);
});
