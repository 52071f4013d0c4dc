import assert from "node:assert/strict";
import { test } from "node:test";
import { fullName, isLoopback, registryOf } from "./image-name.ts";

test("names as registries know them", () => {
  assert.equal(fullName("python"), "docker.io/library/python:latest");
  assert.equal(fullName("a/b:1"), "docker.io/a/b:1");
  assert.equal(fullName("localhost/a"), "localhost/a:latest");
  assert.equal(fullName("r:5000/a@sha256:00"), "r:5000/a@sha256:00");
  assert.equal(registryOf("127.0.0.1:30500/a/b:1"), "127.0.0.1:30500");
  assert.ok(isLoopback("127.0.0.1:30500") && isLoopback("localhost") && !isLoopback("registry.local"));
});
