import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ExtensionCredentials, ExtensionRecord, ExtensionService } from "./record.ts";
import { resolveExtension, versionMatches } from "./resolve.ts";

const service = (of: Partial<ExtensionService> & { id: string }): ExtensionService => ({
  resource: "s3",
  category: "store",
  description: "",
  auth_required: false,
  configuration: {},
  endpoints: [{ url: `http://${of.id}`, type: "external", configuration: {} }],
  credentials: [],
  ...of,
});
const record = (of: Partial<ExtensionRecord> & { id: string }): ExtensionRecord => ({
  product: "mlflow",
  version: "3.1.0",
  description: "",
  zone: "",
  configuration: {},
  services: [service({ id: `${of.id}-s3` })],
  ...of,
});
const credentials = (of: Partial<ExtensionCredentials> & { id: string }): ExtensionCredentials => ({
  default: false,
  scope: "global",
  projects: [],
  users: [],
  configuration: { KEY: of.id },
  ...of,
});
const wanted = { name: "store", service_resource: "s3" };
const context = { project: "p", user: "u" };
const choice = (
  records: ExtensionRecord[],
  requirement: Parameters<typeof resolveExtension>[0] = wanted,
  at = context,
) => {
  const found = resolveExtension(requirement, records, at);
  return found.resolved ? found.choice : found.reason;
};

test("the choice does not depend on the order of the records", () => {
  const records = [record({ id: "b" }), record({ id: "a" }), record({ id: "c", zone: "z" })];
  fc.assert(
    fc.property(fc.shuffledSubarray(records, { minLength: 3 }), (shuffled) => {
      assert.deepEqual(choice(shuffled), { extension: "a", service: "a-s3", endpoint: "http://a-s3" });
    }),
  );
});

test("variables are merged from extension, service, endpoint, credentials; those of credentials are secret", () => {
  const found = resolveExtension(
    wanted,
    [
      record({
        id: "a",
        configuration: { A: "extension", B: "extension" },
        services: [
          service({
            id: "s",
            configuration: { B: "service", C: "service" },
            endpoints: [{ url: "http://e", type: "external", configuration: { C: "endpoint", D: "endpoint" } }],
            credentials: [credentials({ id: "k", configuration: { D: "credentials" } })],
          }),
        ],
      }),
    ],
    context,
  );
  assert.ok(found.resolved);
  assert.deepEqual(found.variables, { A: "extension", B: "service", C: "endpoint", D: "credentials" });
  assert.deepEqual([...found.secrets], ["D"]);
});

test("an internal endpoint counts in its own zone only, and is preferred there", () => {
  const both = record({
    id: "a",
    zone: "berlin",
    services: [
      service({
        id: "s",
        endpoints: [
          { url: "http://in", type: "internal", configuration: {} },
          { url: "http://out", type: "external", configuration: {} },
        ],
      }),
    ],
  });
  assert.equal((choice([both]) as { endpoint: string }).endpoint, "http://out");
  assert.equal((choice([both], { ...wanted, zone: "berlin" }) as { endpoint: string }).endpoint, "http://in");
});

test("credentials: the narrowest visible scope, defaults first; none where they are required is no match", () => {
  const of = (list: ExtensionCredentials[], required = true) => [
    record({ id: "a", services: [service({ id: "s", auth_required: required, credentials: list })] }),
  ];
  const global = credentials({ id: "g" });
  const mine = credentials({ id: "m", scope: "project", projects: ["p"] });
  const other = credentials({ id: "o", scope: "project", projects: ["q"] });
  const user = credentials({ id: "u", scope: "user", users: ["u"] });
  const id = (list: ExtensionCredentials[]) => (choice(of(list)) as { credentials?: string }).credentials;
  assert.equal(id([global, mine, other]), "m");
  assert.equal(id([global, mine, user]), "u");
  assert.equal(id([{ ...global, default: true }, mine]), "g");
  assert.match(String(choice(of([other]))), /no credentials for project "p"/);
  assert.deepEqual(choice(of([], false)), { extension: "a", service: "s", endpoint: "http://s" });
});

test("no match says what was wanted and why each was refused", () => {
  assert.match(String(choice([])), /no extension is registered/);
  assert.match(
    String(choice([record({ id: "a" })], { name: "x", product: "kserve" })),
    /wanted product=kserve; a: its product is "mlflow"/,
  );
  assert.match(
    String(choice([record({ id: "a" })], { ...wanted, version: ">=4" })),
    /version 3.1.0 does not meet ">=4"/,
  );
});

test("versions: equal, or a constraint that is met; what cannot be read matches only when equal", () => {
  assert.ok(versionMatches("3.1.0", "^3.0"));
  assert.ok(versionMatches("v0.20", ">=0.19"));
  assert.ok(!versionMatches("2.9", "^3"));
  assert.ok(versionMatches("banana", "banana"));
  assert.ok(!versionMatches("banana", ">=1"));
});
