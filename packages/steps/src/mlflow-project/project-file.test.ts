import assert from "node:assert/strict";
import { test } from "node:test";
import { parseProject, plainProject } from "./project-file.ts";

const parse = (text: string, files: string[] = []) => parseProject(text, "MLproject", (name) => files.includes(name));

test("types, bare types and bare defaults of parameters", () => {
  const project = parse(`
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.5}
      epochs: int
      rate: 0.1
      layers: 3
      data: {type: path}
      where: uri
      label: hello
      free:
    command: "python train.py {alpha}"
`);
  assert.deepEqual(project.entryPoints.main?.parameters, {
    alpha: { type: "float", default: 0.5 },
    epochs: { type: "int" },
    rate: { type: "float", default: 0.1 },
    layers: { type: "int", default: 3 },
    data: { type: "path" },
    where: { type: "uri" },
    label: { type: "string", default: "hello" },
    free: { type: "string" },
  });
});

test("several entry points, anchors, comments, Windows line ends and a byte-order mark", () => {
  const text = "\uFEFFname: x # the name\r\nentry_points:\r\n  main: &m\r\n    command: python a.py\r\n  other: *m\r\n";
  assert.deepEqual(Object.keys(parse(text).entryPoints), ["main", "other"]);
  assert.equal(parse(text).entryPoints.other?.command, "python a.py");
});

test("an environment is a file, written out, docker's, or none", () => {
  assert.deepEqual(parse("conda_env: conda.yaml", ["conda.yaml"]).environment, {
    kind: "conda_env",
    file: "conda.yaml",
  });
  assert.deepEqual(parse("python_env: {dependencies: [numpy]}").environment, {
    kind: "python_env",
    inline: { dependencies: ["numpy"] },
  });
  assert.deepEqual(parse("docker_env: {image: x}").environment, { kind: "docker_env" });
  assert.deepEqual(parse("name: x").environment, { kind: "none" });
});

test("faults name the file, the parameter and what would be right", () => {
  assert.throws(() => parse("conda_env: cnda.yaml"), /names the file cnda.yaml, which is not in the codeset/);
  assert.throws(
    () => parse("entry_points: {main: {parameters: {a: {type: flaot}}, command: x}}"),
    /parameter "a" has the unknown type "flaot"/,
  );
  assert.throws(() => parse("entry_points: {main: {}}"), /entry point "main" has no command/);
  assert.throws(() => parse("a: b: c"), /MLproject: .*line 1/s);
  assert.throws(() => parse("- a list"), /not a mapping/);
});

test("MLflow is given the project in words that it knows", () => {
  const project = parse(
    "name: x\npython_env: {dependencies: []}\nentry_points: {main: {parameters: {rate: 0.1}, command: c}}",
  );
  assert.deepEqual(plainProject(project), {
    name: "x",
    entry_points: { main: { command: "c", parameters: { rate: { type: "float", default: 0.1 } } } },
  });
});
