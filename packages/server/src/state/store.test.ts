import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { repositoryConformance } from "./repository.conformance.ts";
import { sqliteStore } from "./store.ts";

repositoryConformance("SQLite", () => sqliteStore(":memory:"));

test("what was committed is there when the file is opened again; a newer schema is refused", async () => {
  const directory = mkdtempSync(join(tmpdir(), "fuseml-test-"));
  const file = join(directory, "fuseml.db");
  try {
    const first = await sqliteStore(file);
    await first.transaction((unit) =>
      unit.projects.add({ name: "p", description: "", created: "now", parallelism: null }),
    );
    await first.close();
    const second = await sqliteStore(file);
    assert.equal((await second.read.projects.list()).length, 1);
    await second.close();
    const raw = new DatabaseSync(file);
    assert.equal(raw.prepare("PRAGMA journal_mode").get()?.journal_mode, "wal");
    raw.exec("UPDATE schema_version SET version = 99");
    raw.close();
    await assert.rejects(sqliteStore(file), { code: "server.schema-too-new" });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
