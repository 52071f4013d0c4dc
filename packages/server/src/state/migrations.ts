import type { PinnedInputs } from "@fuseml/core/run/spec";
import type { Kysely } from "kysely";
import type { Migration } from "../platform/database/migrate.ts";
import { fromJson } from "./columns.ts";
import type { Db } from "./db.ts";

/** Numbers rows in the order of writing: the one place where the two databases speak differently. */
export type Dialect = { readonly serial: string };
export const sqliteDialect: Dialect = { serial: "INTEGER PRIMARY KEY AUTOINCREMENT" };
export const postgresDialect: Dialect = { serial: "BIGSERIAL PRIMARY KEY" };

/** The schema, step by step. A released step is never edited: add one. */
export const migrations = ({ serial }: Dialect): readonly Migration[] => [
  {
    name: "the nouns",
    statements: [
      "CREATE TABLE project (name TEXT PRIMARY KEY, description TEXT NOT NULL, created TEXT NOT NULL)",
      `CREATE TABLE project_user (project TEXT NOT NULL REFERENCES project (name) ON DELETE CASCADE, name TEXT NOT NULL,
        email TEXT NOT NULL, password TEXT NOT NULL, PRIMARY KEY (project, name))`,
      `CREATE TABLE codeset (project TEXT NOT NULL REFERENCES project (name), name TEXT NOT NULL, description TEXT NOT NULL,
        labels TEXT NOT NULL, created TEXT NOT NULL, PRIMARY KEY (project, name))`,
      `CREATE TABLE artifact (seq ${serial}, address TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, project TEXT NOT NULL,
        name TEXT NOT NULL, version TEXT NOT NULL, location TEXT NOT NULL, digest TEXT NOT NULL, labels TEXT NOT NULL,
        metadata TEXT NOT NULL, run_id TEXT, created TEXT NOT NULL)`,
      "CREATE INDEX artifact_by_name ON artifact (kind, project, name, seq)",
      "CREATE INDEX artifact_by_location ON artifact (location)",
      `CREATE TABLE artifact_tag (kind TEXT NOT NULL, project TEXT NOT NULL, name TEXT NOT NULL, tag TEXT NOT NULL,
        version TEXT NOT NULL, PRIMARY KEY (kind, project, name, tag))`,
      `CREATE TABLE lineage_edge (source TEXT NOT NULL, target TEXT NOT NULL, relation TEXT NOT NULL, created TEXT NOT NULL,
        PRIMARY KEY (source, target, relation))`,
      "CREATE INDEX lineage_by_target ON lineage_edge (target)",
      "CREATE TABLE workflow (name TEXT PRIMARY KEY, version INTEGER NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL)",
      `CREATE TABLE workflow_version (name TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL,
        definition TEXT NOT NULL, created TEXT NOT NULL, PRIMARY KEY (name, version))`,
      `CREATE TABLE assignment (id TEXT PRIMARY KEY, workflow TEXT NOT NULL REFERENCES workflow (name) ON DELETE CASCADE,
        project TEXT NOT NULL, bindings TEXT NOT NULL, "values" TEXT NOT NULL, created TEXT NOT NULL, UNIQUE (workflow, bindings))`,
      `CREATE TABLE run (id TEXT PRIMARY KEY, workflow TEXT NOT NULL, workflow_version INTEGER NOT NULL, project TEXT NOT NULL,
        assignment_id TEXT, match_key TEXT UNIQUE, cause TEXT NOT NULL, pins TEXT NOT NULL, status TEXT NOT NULL, error TEXT,
        outputs TEXT NOT NULL, created TEXT NOT NULL, started TEXT, ended TEXT)`,
      "CREATE INDEX run_active ON run (status) WHERE status IN ('pending', 'running')",
      "CREATE INDEX run_by_workflow ON run (workflow, id)",
      "CREATE INDEX run_by_project ON run (project, id)",
      `CREATE TABLE step_run (run_id TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE, ordinal INTEGER NOT NULL,
        name TEXT NOT NULL, state TEXT NOT NULL, status TEXT NOT NULL, extensions TEXT NOT NULL,
        PRIMARY KEY (run_id, ordinal), UNIQUE (run_id, name))`,
      `CREATE TABLE segment (id TEXT PRIMARY KEY, run_id TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        ordinal INTEGER NOT NULL, agent TEXT NOT NULL, spec TEXT NOT NULL, ended INTEGER NOT NULL)`,
      "CREATE INDEX segment_by_run ON segment (run_id)",
      `CREATE TABLE event (seq ${serial}, subject TEXT NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL, time TEXT NOT NULL)`,
      "CREATE INDEX event_by_subject ON event (subject, seq)",
      `CREATE TABLE extension (id TEXT PRIMARY KEY, product TEXT NOT NULL, version TEXT NOT NULL, description TEXT NOT NULL,
        zone TEXT NOT NULL, configuration TEXT NOT NULL, registered TEXT NOT NULL, updated TEXT NOT NULL)`,
      `CREATE TABLE extension_service (extension_id TEXT NOT NULL REFERENCES extension (id) ON DELETE CASCADE, id TEXT NOT NULL,
        resource TEXT NOT NULL, category TEXT NOT NULL, description TEXT NOT NULL, auth_required INTEGER NOT NULL,
        configuration TEXT NOT NULL, registered TEXT NOT NULL, updated TEXT NOT NULL, PRIMARY KEY (extension_id, id))`,
      `CREATE TABLE extension_endpoint (extension_id TEXT NOT NULL, service_id TEXT NOT NULL, url TEXT NOT NULL,
        type TEXT NOT NULL, configuration TEXT NOT NULL, PRIMARY KEY (extension_id, service_id, url),
        FOREIGN KEY (extension_id, service_id) REFERENCES extension_service (extension_id, id) ON DELETE CASCADE)`,
      `CREATE TABLE extension_credentials (extension_id TEXT NOT NULL, service_id TEXT NOT NULL, id TEXT NOT NULL,
        is_default INTEGER NOT NULL, scope TEXT NOT NULL, projects TEXT NOT NULL, users TEXT NOT NULL,
        configuration TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL, PRIMARY KEY (extension_id, service_id, id),
        FOREIGN KEY (extension_id, service_id) REFERENCES extension_service (extension_id, id) ON DELETE CASCADE)`,
      `CREATE TABLE application (name TEXT PRIMARY KEY, type TEXT NOT NULL, description TEXT NOT NULL, url TEXT NOT NULL,
        workflow TEXT NOT NULL, k8s_namespace TEXT NOT NULL, k8s_resources TEXT NOT NULL, revision INTEGER NOT NULL,
        created TEXT NOT NULL, updated TEXT NOT NULL)`,
      `CREATE TABLE application_revision (application TEXT NOT NULL REFERENCES application (name) ON DELETE CASCADE,
        revision INTEGER NOT NULL, run_id TEXT, model TEXT, created TEXT NOT NULL, PRIMARY KEY (application, revision))`,
      "CREATE TABLE runnable (id TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, created TEXT NOT NULL)",
      "CREATE TABLE token (hash TEXT PRIMARY KEY, name TEXT NOT NULL, run_id TEXT, created TEXT NOT NULL)",
      `CREATE TABLE inference_service (namespace TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL,
        spec TEXT NOT NULL, metadata TEXT NOT NULL, revisions TEXT NOT NULL, created TEXT NOT NULL, PRIMARY KEY (namespace, name))`,
      `CREATE TABLE kubernetes_object (kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (kind, namespace, name))`,
      "CREATE TABLE installed_bundle (name TEXT PRIMARY KEY, state TEXT NOT NULL, created TEXT NOT NULL)",
    ],
  },
  {
    name: "runs that are planned again",
    statements: [
      "ALTER TABLE project ADD COLUMN parallelism INTEGER",
      "ALTER TABLE assignment ADD COLUMN newer TEXT NOT NULL DEFAULT 'parallel'",
      "ALTER TABLE assignment ADD COLUMN schedule TEXT",
      "ALTER TABLE assignment ADD COLUMN next_moment TEXT",
      "CREATE INDEX assignment_by_moment ON assignment (next_moment) WHERE next_moment IS NOT NULL",
      "ALTER TABLE token ADD COLUMN roles TEXT NOT NULL DEFAULT '[\"admin\"]'",
      "CREATE INDEX token_of_run ON token (run_id) WHERE run_id IS NOT NULL",
      "ALTER TABLE run ADD COLUMN owner TEXT",
      "ALTER TABLE run ADD COLUMN deadline TEXT",
      "ALTER TABLE run ADD COLUMN stepwise INTEGER NOT NULL DEFAULT 0",
      "ALTER TABLE run ADD COLUMN definition TEXT",
      "ALTER TABLE run ADD COLUMN queue_key TEXT",
      "ALTER TABLE run ADD COLUMN queued INTEGER NOT NULL DEFAULT 0",
      "ALTER TABLE run ADD COLUMN cancel_requested TEXT",
      "ALTER TABLE run ADD COLUMN no_cache INTEGER NOT NULL DEFAULT 0",
      "CREATE INDEX run_by_status ON run (status, id)",
      "CREATE INDEX run_by_queue ON run (queue_key, id) WHERE queue_key IS NOT NULL",
      "CREATE TABLE run_codeset (project TEXT NOT NULL, name TEXT NOT NULL, run_id TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE, PRIMARY KEY (project, name, run_id))",
      "ALTER TABLE step_run ADD COLUMN step TEXT NOT NULL DEFAULT ''",
      "ALTER TABLE step_run ADD COLUMN idx INTEGER",
      "ALTER TABLE step_run ADD COLUMN combination TEXT",
      "ALTER TABLE step_run ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0",
      "ALTER TABLE step_run ADD COLUMN base INTEGER NOT NULL DEFAULT 0",
      "ALTER TABLE step_run ADD COLUMN passes TEXT NOT NULL DEFAULT '{}'",
      "ALTER TABLE step_run ADD COLUMN reuse TEXT",
      "ALTER TABLE step_run ADD COLUMN segment_id TEXT",
      "UPDATE step_run SET step = name",
      "UPDATE step_run SET attempt = 1 WHERE status IN ('running', 'succeeded', 'failed')",
      // so far all steps of a run that were not finished were in its one segment
      "UPDATE step_run SET segment_id = (SELECT id FROM segment WHERE segment.run_id = step_run.run_id ORDER BY ordinal LIMIT 1)",
      "CREATE INDEX step_run_by_status ON step_run (run_id, status)",
      "CREATE INDEX step_run_by_step ON step_run (run_id, step, status)",
      "CREATE INDEX step_run_by_segment ON step_run (segment_id) WHERE segment_id IS NOT NULL",
      `CREATE TABLE attempt (run_id TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE, name TEXT NOT NULL, attempt INTEGER NOT NULL,
        segment_id TEXT NOT NULL, started TEXT NOT NULL, ended TEXT NOT NULL, error TEXT NOT NULL, PRIMARY KEY (run_id, name, attempt))`,
      `CREATE TABLE cache_entry (key TEXT PRIMARY KEY, workflow TEXT NOT NULL, step TEXT NOT NULL, project TEXT NOT NULL, parts TEXT NOT NULL,
        run_id TEXT NOT NULL, step_run TEXT NOT NULL, outputs TEXT NOT NULL, witnesses TEXT NOT NULL, created TEXT NOT NULL, used TEXT NOT NULL)`,
      "CREATE INDEX cache_by_step ON cache_entry (workflow, step, created)",
      `CREATE TABLE webhook (name TEXT PRIMARY KEY, url TEXT NOT NULL, types TEXT NOT NULL, project TEXT NOT NULL, workflow TEXT NOT NULL,
        secret TEXT NOT NULL, "cursor" INTEGER NOT NULL, failures INTEGER NOT NULL, next_try TEXT, last_error TEXT, created TEXT NOT NULL)`,
      "CREATE TABLE replica (id TEXT PRIMARY KEY, url TEXT NOT NULL, host TEXT NOT NULL, beat INTEGER NOT NULL)",
    ],
    after: fillRunCodesets,
  },
];

/** Runs that are there already are found by their codesets, too. */
async function fillRunCodesets(database: Kysely<unknown>): Promise<void> {
  const db = database as Db;
  for (const { id, pins } of await db.selectFrom("run").select(["id", "pins"]).execute()) {
    const { codesets } = fromJson<PinnedInputs>(pins);
    for (const { project, name } of Object.values(codesets)) {
      await db
        .insertInto("run_codeset")
        .values({ project, name, run_id: id })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    }
  }
}
