/** What starts runs by itself, what newer ones do to older ones, who is told, and who may decide. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Client } from "@fuseml/client/client";
import { freePort } from "@fuseml/server/platform/processes/ports";
import { Fuseml, shellWorkflow, until } from "./support/fuseml.ts";

describe("automation", { timeout: 120_000, concurrency: 3 }, () => {
  let fuseml: Fuseml;
  before(async () => {
    fuseml = await Fuseml.start();
    await fuseml.ok("project", "create", "p");
  });
  after(() => fuseml.dispose());

  const lines = (name: string): string[] => {
    const file = join(fuseml.home, name);
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  };
  const runsOf = (name: string) => fuseml.client.call("GET /workflows/runs", { query: { name } });
  /** A codeset with a copy to push from. @returns what pushes another commit */
  async function codeset(name: string): Promise<() => Promise<void>> {
    fuseml.directory(`${name}-code`, { "n.txt": "0" });
    await fuseml.ok("codeset", "push", `${name}-code`, "-p", "p", "-n", name);
    const copy = join(fuseml.home, `${name}-copy`);
    await fuseml.git(fuseml.home, "clone", "--quiet", `${fuseml.url}/git/p/${name}.git`, copy);
    let n = 0;
    return async () => {
      n += 1;
      fuseml.directory(`${name}-copy`, { "n.txt": String(n) });
      await fuseml.git(copy, "commit", "--quiet", "-am", String(n));
      await fuseml.git(copy, "push", "--quiet", "origin", "main");
    };
  }

  test("a schedule starts runs; moments missed while no server ran are made up for as asked", async () => {
    fuseml.directory(".", { "tick.yaml": shellWorkflow("tick", { a: "true" }) });
    await fuseml.ok("workflow", "create", "tick.yaml");
    assert.equal((await fuseml.cli("workflow", "assign", "tick", "--schedule", "every day")).code, 2);
    await fuseml.ok("workflow", "assign", "tick", "--schedule", "* * * * * *", "--missed", "all");
    await until("it ticks", async () => (await runsOf("tick")).length >= 2);
    const [run] = await runsOf("tick");
    assert.equal(run?.cause.type, "scheduled");
    assert.match(await fuseml.ok("workflow", "list-assignments"), /tick\s.*\d{4}-\d\d-\d\dT/);
  });

  test("with `cancel` a newer version ends the run of the older one", async () => {
    const push = await codeset("latest");
    fuseml.directory(".", {
      "latest.yaml": shellWorkflow(
        "latest",
        { a: 'cat n.txt >> "$HOME/latest"; echo >> "$HOME/latest"; sleep 300' },
        { codeset: true },
      ),
    });
    await fuseml.ok("workflow", "create", "latest.yaml");
    await fuseml.ok("workflow", "assign", "latest", "-p", "p", "-c", "latest", "--newer", "cancel");
    await until("the first runs", () => lines("latest").length === 1);
    await push();
    await until("the second runs", () => lines("latest").filter(Boolean).length === 2);
    const [newer, older] = await runsOf("latest");
    await until("the first is cancelled", async () => (await runsOf("latest"))[1]?.status === "Cancelled");
    assert.match(
      (await fuseml.client.call("GET /runs/{id}", { params: { id: older?.name ?? "" } })).error?.message ?? "",
      /cancelled by the newer run/,
    );
    await fuseml.ok("run", "cancel", newer?.name ?? "");
  });

  test("with `queue` one run waits behind the one under way, and only the newest", async () => {
    const push = await codeset("queued");
    const script =
      'cat n.txt >> "$HOME/queued"; echo >> "$HOME/queued"; until [ -e "$HOME/queued.go" ]; do sleep 0.05; done';
    fuseml.directory(".", { "queued.yaml": shellWorkflow("queued", { a: script }, { codeset: true }) });
    await fuseml.ok("workflow", "create", "queued.yaml");
    await fuseml.ok("workflow", "assign", "queued", "-p", "p", "-c", "queued", "--newer", "queue");
    await until("the first runs", () => lines("queued").length === 1);
    await push();
    await push();
    await until("three runs", async () => (await runsOf("queued")).length === 3);
    await until("the middle one is given up", async () => (await runsOf("queued"))[1]?.status === "Cancelled");
    assert.deepEqual(
      (await runsOf("queued")).map((run) => run.status),
      ["Pending", "Cancelled", "Running"],
    );
    fuseml.directory(".", { "queued.go": "" });
    await until(
      "both are over",
      async () => (await runsOf("queued")).filter((run) => run.status === "Succeeded").length === 2,
    );
    assert.deepEqual(lines("queued").filter(Boolean), ["0", "2"]);
  });

  test("a webhook is told in order, signed, until it answers well; as CloudEvents, as the stream is", async () => {
    const received: { type: string; subject: string; specversion: string }[] = [];
    const signatures: boolean[] = [];
    let refuse = true;
    const listener: Server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = Buffer.concat(chunks);
        const expected = `sha256=${createHmac("sha256", "s3cret").update(body).digest("hex")}`;
        signatures.push(request.headers["x-fuseml-signature-256"] === expected);
        if (!refuse) received.push(JSON.parse(body.toString("utf8")) as (typeof received)[number]);
        response.statusCode = refuse ? 503 : 204;
        refuse = false;
        response.end();
      });
    });
    const port = await freePort();
    await new Promise<void>((resolve) => listener.listen(port, "127.0.0.1", resolve));
    try {
      fuseml.directory(".", { "told.yaml": shellWorkflow("told", { a: "true" }) });
      await fuseml.ok("workflow", "create", "told.yaml");
      fuseml.env.FUSEML_WEBHOOK_SECRET = "s3cret";
      await fuseml.ok("webhook", "add", "me", `http://127.0.0.1:${port}/`, "--type", "run.*", "-w", "told");
      assert.equal((await fuseml.cli("webhook", "add", "me", `http://127.0.0.1:${port}/`)).code, 4);
      const id = /run_\w+/.exec(await fuseml.ok("workflow", "run", "told", "--wait"))?.[0] ?? "";
      await until("it was told", () => received.length === 2);
      assert.deepEqual(
        received.map((event) => [event.specversion, event.type, event.subject]),
        [
          ["1.0", "org.fuseml.run.created", id],
          ["1.0", "org.fuseml.run.ended", id],
        ],
      );
      assert.ok(signatures.length >= 3 && signatures.every(Boolean));
      assert.match(await fuseml.ok("webhook", "list"), /me\s+http/);
      await fuseml.ok("webhook", "delete", "me");
      const abort = new AbortController();
      const types: string[] = [];
      for await (const { data } of fuseml.client.stream(
        "GET /events",
        { query: { after: "0", types: "run.ended" } },
        abort.signal,
      )) {
        const { type, subject } = data as { type?: string; subject?: string };
        if (type) types.push(type);
        if (subject === id) break;
      }
      abort.abort();
      assert.deepEqual([...new Set(types)], ["org.fuseml.run.ended"]);
    } finally {
      listener.close();
    }
  });

  test("a project's limit holds over all its runs", async () => {
    await codeset("limited");
    fuseml.directory("busy", { ".keep": "" });
    const busy = (name: string) =>
      `mkdir "$HOME/busy/$FUSEML_RUN_ID.${name}"; ls "$HOME/busy" | wc -l >> "$HOME/busy.seen"; sleep 0.2; rmdir "$HOME/busy/$FUSEML_RUN_ID.${name}"`;
    fuseml.directory(".", {
      "busy.yaml": `order: dataflow\n${shellWorkflow("busy", { a: busy("a"), b: busy("b"), c: busy("c") }, { codeset: true })}`,
    });
    await fuseml.ok("workflow", "create", "busy.yaml");
    await fuseml.ok("project", "limit", "p", "2");
    const inputs = { code: "p/limited" };
    for (let n = 0; n < 3; n += 1)
      await fuseml.client.call("POST /workflows/{name}/runs", { params: { name: "busy" }, body: { inputs } });
    await until("all are over", async () => (await runsOf("busy")).every((run) => run.status === "Succeeded"));
    const seen = lines("busy.seen").map(Number);
    assert.equal(seen.length, 9);
    assert.ok(Math.max(...seen) <= 2, seen.join(" "));
    await fuseml.ok("project", "limit", "p", "none");
  });
});

describe("who may decide", { timeout: 60_000 }, () => {
  test("a step asks for a role: only who has it approves; who did is recorded", async () => {
    const fuseml = await Fuseml.start({ FUSEML_AUTH: "token" });
    try {
      fuseml.env.FUSEML_TOKEN = readFileSync(join(fuseml.dataDir, "admin.token"), "utf8").trim();
      const as = (token: string) => new Client({ url: fuseml.url, token: token.trim() });
      const ada = as(await fuseml.ok("token", "create", "ada", "--role", "lead"));
      const bob = as(await fuseml.ok("token", "create", "bob"));
      fuseml.directory(".", {
        "gate.yaml": "name: gate\nsteps:\n  - {name: ok, approval: {by: [lead]}}\n",
      });
      await fuseml.ok("workflow", "create", "gate.yaml");
      const { name: id } = await bob.call("POST /workflows/{name}/runs", { params: { name: "gate" }, body: {} });
      await until(
        "it waits",
        async () => (await ada.call("GET /runs/{id}", { params: { id } })).steps[0]?.waitsFor !== undefined,
      );
      const params = { id, step: "ok" };
      await assert.rejects(bob.call("POST /runs/{id}/steps/{step}/approve", { params }), {
        code: "run.approver",
        message: 'bob may not decide about step "ok"',
      });
      await assert.rejects(bob.call("POST /tokens", { body: { name: "eve", roles: ["lead"] } }), {
        code: "auth.forbidden",
      });
      await ada.call("POST /runs/{id}/steps/{step}/approve", { params, body: { comment: "go" } });
      await until(
        "it is over",
        async () => (await ada.call("GET /runs/{id}", { params: { id } })).status === "Succeeded",
      );
      const { steps } = await ada.call("GET /runs/{id}", { params: { id } });
      assert.equal(steps[0]?.approval?.by, "ada");
      assert.match(await fuseml.ok("run", "explain", id), /step.approved ok by ada/);
      await fuseml.ok("token", "delete", "bob");
      await assert.rejects(bob.call("GET /runs/{id}", { params: { id } }), { code: "auth.invalid" });
    } finally {
      await fuseml.dispose();
    }
  });
});
