import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { resourceOptions, tooLarge } from "./container-options.ts";
import { engineAddresses } from "./engine-address.ts";
import { imageFailure, startFailure } from "./engine-errors.ts";
import { ImageNames } from "./image-names.ts";
import { loginFor } from "./registry-login.ts";
import { stepEnvironment } from "./step-environment.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "fuseml-parts-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("FuseML's own images are those of this version; the user's rules come first, and are read again", () => {
  const file = join(root, "images.yaml");
  const names = new ImageNames([{ image: "ghcr.io/fuseml/*", as: "127.0.0.1:30500/fuseml/*" }], file, "0.4.0");
  assert.equal(names.resolve("ghcr.io/fuseml/mlflow-builder:v0.3.0"), "127.0.0.1:30500/fuseml/mlflow-builder:0.4.0");
  assert.equal(names.resolve("ghcr.io/fuseml/mlflow-builder"), "127.0.0.1:30500/fuseml/mlflow-builder:0.4.0");
  assert.equal(names.resolve("python:3.11"), "python:3.11");
  writeFileSync(file, 'images: [{image: "ghcr.io/*", as: "mirror.local/*"}, {image: "python:3.11", as: "own:1"}]');
  assert.equal(names.resolve("ghcr.io/fuseml/mlflow-builder:v1"), "mirror.local/fuseml/mlflow-builder:v1");
  assert.equal(names.resolve("python:3.11"), "own:1");
  writeFileSync(file, "images: [{image: x}]");
  // another moment of change
  assert.throws(() => new ImageNames([], file, "1").resolve("x"), /images.yaml/);
});

test("limits and requests in an engine's words", () => {
  const resources = {
    limits: { cpu: "500m", memory: "1Gi", "nvidia.com/gpu": "2" },
    requests: { cpu: "250m", memory: "512Mi" },
  };
  assert.deepEqual(resourceOptions(resources), {
    NanoCpus: 5e8,
    Memory: 2 ** 30,
    MemorySwap: 2 ** 30,
    CpuShares: 256,
    MemoryReservation: 2 ** 29,
    DeviceRequests: [{ Driver: "nvidia", Count: 2, Capabilities: [["gpu"]] }],
  });
  assert.deepEqual(resourceOptions(undefined), {});
});

test("what a machine can never give is refused", () => {
  const machine = { processors: 2, memoryBytes: 2 ** 30 };
  assert.equal(tooLarge({ requests: { cpu: "2", memory: "1Gi" } }, machine), undefined);
  assert.match(tooLarge({ requests: { cpu: "3" } }, machine) ?? "", /3 processors, and there are 2/);
  assert.match(tooLarge({ requests: { memory: "2Gi" } }, machine) ?? "", /2.0 GiB/);
  assert.match(tooLarge({ limits: { memory: "lots" } }, machine) ?? "", /"lots" is not an amount of memory/);
});

test("logins are those of docker login and podman login", () => {
  const file = join(root, "config.json");
  const auth = Buffer.from("me:pass:word").toString("base64");
  writeFileSync(
    file,
    JSON.stringify({ auths: { "r.example.org": { auth }, "https://index.docker.io/v1/": { auth } } }),
  );
  const files = [join(root, "none.json"), file];
  assert.deepEqual(loginFor("r.example.org/a:1", files), {
    username: "me",
    password: "pass:word",
    serveraddress: "r.example.org",
  });
  assert.equal(loginFor("python", files)?.username, "me");
  assert.equal(loginFor("other.org/a", files), undefined);
});

test("an engine's words become errors of the catalogue", () => {
  const image = (words: string) => imageFailure("r/a:1", new Error(words)).code;
  assert.equal(image("manifest for r/a:1 not found: manifest unknown"), "image.not-found");
  assert.equal(image("unauthorized: authentication required"), "image.denied");
  assert.equal(image("no matching manifest for linux/amd64 in the manifest list entries"), "image.wrong-architecture");
  assert.equal(image("dial tcp 127.0.0.1:1: connect: connection refused"), "image.registry-unreachable");
  const { message } = imageFailure(
    "r/a:1",
    new Error("(HTTP code 500) server error - dial tcp 1.2.3.4:5: i/o timeout"),
  );
  assert.doesNotMatch(message, /HTTP code/);
  assert.equal(image("write /var/lib/x: no space left on device"), "disk.full");
  assert.equal(
    imageFailure("r/a:1", Object.assign(new Error("x"), { code: "ECONNREFUSED" })).code,
    "container.engine-gone",
  );
  assert.equal(
    startFailure("r/a:1", new Error('exec: "x": executable file not found in $PATH')).code,
    "image.entrypoint",
  );
});

test("steps get certificates, proxies and indexes, and no path of this machine", () => {
  const file = join(root, "ca.crt");
  writeFileSync(file, "certificates");
  const { env, files } = stepEnvironment({ HTTPS_PROXY: "p", PIP_INDEX_URL: "i", PATH: "/x", PIP_CERT: "/y" }, file);
  assert.equal(env.HTTPS_PROXY, "p");
  assert.equal(env.PATH, undefined);
  assert.equal(String(files[env.SSL_CERT_FILE ?? ""]), "certificates");
  assert.deepEqual(stepEnvironment({ PIP_INDEX_URL: "i" }, undefined), { env: { PIP_INDEX_URL: "i" }, files: {} });
});

test("where an engine may be: what the environment says, and nothing else then", () => {
  assert.deepEqual(engineAddresses({ DOCKER_HOST: "tcp://a:1" }), ["tcp://a:1"]);
  assert.deepEqual(engineAddresses({ FUSEML_CONTAINER_ENGINE: "unix:///x", DOCKER_HOST: "tcp://a:1" }), ["unix:///x"]);
});
