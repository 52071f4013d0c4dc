/** A server that asks for tokens: who may do what. */
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Fuseml, shellWorkflow } from "./support/fuseml.ts";

describe("a server that asks for tokens", { timeout: 120_000 }, () => {
  let fuseml: Fuseml;
  before(async () => {
    fuseml = await Fuseml.start({ FUSEML_AUTH: "token" });
  });
  after(() => fuseml.dispose());

  test("without a token nothing is told but health and description; the error says what to do", async () => {
    const answer = await fetch(`${fuseml.url}/projects`);
    assert.equal(answer.status, 401);
    const { code, hint } = (await answer.json()) as { code: string; hint: string };
    assert.equal(code, "auth.required");
    assert.match(hint, /FUSEML_TOKEN/);
    for (const path of ["/readyz", "/version", "/openapi.json"])
      assert.equal((await fetch(fuseml.url + path)).status, 200, path);
    assert.equal((await fuseml.cli("project", "list")).code, 6);
    assert.equal(
      (await fetch(`${fuseml.url}/projects`, { headers: { authorization: "Bearer nonsense" } })).status,
      401,
    );
  });

  test("the administrator's token is in a file that only its owner can read", async () => {
    const file = join(fuseml.dataDir, "admin.token");
    assert.equal(statSync(file).mode & 0o777, 0o600);
    fuseml.env.FUSEML_TOKEN = readFileSync(file, "utf8").trim();
    await fuseml.ok("project", "create", "p");
  });

  test("git asks for name and password: the project's user may push, nobody else", async () => {
    fuseml.directory("code", { "a.txt": "1" });
    await fuseml.ok("codeset", "push", "code", "-p", "p");
    const open = `${fuseml.url}/git/p/code.git`;
    await assert.rejects(
      fuseml.git(fuseml.home, "-c", "core.askPass=true", "clone", "--quiet", open, "no"),
      /Authentication failed|could not read/,
    );
    const { username, password } = JSON.parse(
      await fuseml
        .run(process.execPath, [
          "-e",
          `fetch("${fuseml.url}/codesets/p/code/credentials", {headers: {authorization: "Bearer ${fuseml.env.FUSEML_TOKEN}"}}).then(async (r) => console.log(await r.text()))`,
        ])
        .then((result) => result.out),
    ) as { username: string; password: string };
    const url = new URL(open);
    url.username = username;
    url.password = password;
    await fuseml.git(fuseml.home, "clone", "--quiet", url.href, "yes");
    assert.equal(readFileSync(join(fuseml.home, "yes", "a.txt"), "utf8"), "1");
    url.username = "anybody";
    url.password = fuseml.env.FUSEML_TOKEN ?? "";
    await fuseml.git(fuseml.home, "clone", "--quiet", url.href, "by-token");
    url.password = "changeme";
    await assert.rejects(fuseml.git(fuseml.home, "clone", "--quiet", url.href, "wrong"), /Authentication failed/);
  });

  test("the token of a run reads its run and registers what it makes, and nothing else; it dies with the run", async () => {
    fuseml.directory(".", {
      "call.mjs": `const { FUSEML_SERVER_URL: url, FUSEML_TOKEN: token, FUSEML_RUN_ID: run } = process.env;
const headers = { authorization: "Bearer " + token, "content-type": "application/json" };
for (const [method, path, body] of [
  ["GET", "/runs/" + run],
  ["POST", "/artifacts", { address: "model://p/m/1", location: "s3://b/m" }],
  ["GET", "/extensions"],
  ["DELETE", "/workflows/w"],
  ["GET", "/codesets/p/code/credentials"],
]) console.log((await fetch(url + path, { method, headers, body: body && JSON.stringify(body) })).status);
`,
    });
    const script = `"${process.execPath}" "$HOME/call.mjs"; printf %s "$FUSEML_TOKEN" > "$HOME/stolen"`;
    fuseml.directory(".", { "w.yaml": shellWorkflow("w", { a: script }) });
    await fuseml.ok("workflow", "create", "w.yaml");
    const out = await fuseml.ok("workflow", "run", "w", "--wait");
    const id = /run_\w+/.exec(out)?.[0] ?? "";
    assert.equal(await fuseml.ok("run", "logs", id, "a"), "200\n201\n403\n403\n403\n");
    const stolen = readFileSync(join(fuseml.home, "stolen"), "utf8");
    assert.match(stolen, /^fml_/);
    const late = await fetch(`${fuseml.url}/runs/${id}`, { headers: { authorization: `Bearer ${stolen}` } });
    assert.equal(late.status, 401);
  });

  test("other than on loopback a server does not start open", async () => {
    const { code, err } = await fuseml.run(process.execPath, ["-e", ""]);
    assert.equal(code, 0, err);
    fuseml.env.FUSEML_HOST = "0.0.0.0";
    fuseml.env.FUSEML_AUTH = "open";
    const refused = await fuseml.cli("server", "start", "--data-dir", join(fuseml.home, "other"));
    assert.equal(refused.code, 2);
    assert.match(refused.err, /FUSEML_AUTH: a server that listens on 0.0.0.0 must ask for tokens/);
  });
});
