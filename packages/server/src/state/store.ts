import { type Kysely, sql } from "kysely";
import { type TokenRepository, tokenRepository } from "../access/repository.ts";
import { type ApplicationRepository, applicationRepository } from "../applications/repository.ts";
import { type ArtifactRepository, artifactRepository } from "../artifacts/repository.ts";
import { type CodesetRepository, codesetRepository } from "../codesets/repository.ts";
import { type BundleRepository, bundleRepository } from "../extensions/bundle-repository.ts";
import { type ExtensionRepository, extensionRepository } from "../extensions/repository.ts";
import { migrate } from "../platform/database/migrate.ts";
import { isPassing as isSqlitePassing, openSqlite } from "../platform/database/node-sqlite.ts";
import { isConflict, isPassing as isPostgresPassing, openPostgres } from "../platform/database/postgres.ts";
import { type ProjectRepository, projectRepository } from "../projects/repository.ts";
import { type RunnableRepository, runnableRepository } from "../runnables/repository.ts";
import { type CacheRepository, cacheRepository } from "../runs/cache-repository.ts";
import { type EventRepository, eventRepository } from "../runs/event-repository.ts";
import { type ReplicaRepository, replicaRepository } from "../runs/replica-repository.ts";
import { type RunRepository, runRepository } from "../runs/repository.ts";
import {
  type InferenceServiceRepository,
  inferenceServiceRepository,
  type KubernetesObjectRepository,
  kubernetesObjectRepository,
} from "../serving/repository.ts";
import { type WebhookRepository, webhookRepository } from "../webhooks/repository.ts";
import { type AssignmentRepository, assignmentRepository } from "../workflows/assignment-repository.ts";
import { type WorkflowRepository, workflowRepository } from "../workflows/repository.ts";
import type { Db } from "./db.ts";
import { migrations, postgresDialect, sqliteDialect } from "./migrations.ts";
import type { Schema } from "./schema.ts";

/** All repositories over one connection or one transaction. */
export type Repositories = {
  readonly projects: ProjectRepository;
  readonly codesets: CodesetRepository;
  readonly artifacts: ArtifactRepository;
  readonly workflows: WorkflowRepository;
  readonly assignments: AssignmentRepository;
  readonly runs: RunRepository;
  readonly events: EventRepository;
  readonly cache: CacheRepository;
  readonly webhooks: WebhookRepository;
  readonly replicas: ReplicaRepository;
  readonly extensions: ExtensionRepository;
  readonly bundles: BundleRepository;
  readonly applications: ApplicationRepository;
  readonly runnables: RunnableRepository;
  readonly tokens: TokenRepository;
  readonly inferenceServices: InferenceServiceRepository;
  readonly kubernetesObjects: KubernetesObjectRepository;
};

/** The repositories inside a transaction. */
export type Unit = Repositories & {
  /** What to do when the transaction has been committed; forgotten when it is rolled back. */
  afterCommit(work: () => void): void;
};

export interface Store {
  /** For single reads. */
  readonly read: Repositories;
  /** All or nothing. Inside, use only the unit's repositories: the store itself waits for the transaction to end. */
  transaction<T>(work: (unit: Unit) => Promise<T>): Promise<T>;
  /** Whether an error is the database's, and the same may work later. */
  isPassing(error: unknown): boolean;
  close(): Promise<void>;
}

const repositories = (db: Db, ways: Ways = {}): Repositories => ({
  projects: projectRepository(db),
  codesets: codesetRepository(db),
  artifacts: artifactRepository(db),
  workflows: workflowRepository(db),
  assignments: assignmentRepository(db),
  runs: runRepository(db),
  events: eventRepository(db, ways.inOrder),
  cache: cacheRepository(db),
  webhooks: webhookRepository(db),
  replicas: replicaRepository(db),
  extensions: extensionRepository(db),
  bundles: bundleRepository(db),
  applications: applicationRepository(db),
  runnables: runnableRepository(db),
  tokens: tokenRepository(db),
  inferenceServices: inferenceServiceRepository(db),
  kubernetesObjects: kubernetesObjectRepository(db),
});

/** The store on SQLite: a file, or `:memory:`. Brings the schema up to date. @throws `server.schema-too-new` */
export async function sqliteStore(location: string): Promise<Store> {
  const db = openSqlite<Schema>(location);
  await migrate(db as unknown as Kysely<unknown>, migrations(sqliteDialect));
  return storeOver(db, { isPassing: isSqlitePassing });
}

/** The store on PostgreSQL, for several servers. Brings the schema up to date. @throws `server.schema-too-new` */
export async function postgresStore(url: string, broken: (error: Error) => void, standStillMs = 5000): Promise<Store> {
  const db = openPostgres<Schema>(url, broken, standStillMs);
  const lock = `SELECT pg_advisory_xact_lock(${schemaLock})`;
  await migrate(db as unknown as Kysely<unknown>, migrations(postgresDialect), lock);
  return storeOver(db, {
    inOrder: async (of) => {
      await sql`SELECT pg_advisory_xact_lock(${eventLock})`.execute(of);
    },
    isConflict,
    isPassing: isPostgresPassing,
  });
}

/** Numbers of advisory locks: any, but each its own. */
const schemaLock = 7_203_001;
const eventLock = 7_203_002;
const triesOnConflict = 8;

/** What the databases do differently. */
type Ways = {
  readonly isPassing?: (error: unknown) => boolean;
  readonly inOrder?: (db: Db) => Promise<void>;
  readonly isConflict?: (error: unknown) => boolean;
};

export function storeOver(db: Db, ways: Ways = {}): Store {
  async function once<T>(work: (unit: Unit) => Promise<T>): Promise<T> {
    const after: (() => void)[] = [];
    const result = await db
      .transaction()
      .execute((transaction) => work({ ...repositories(transaction, ways), afterCommit: (then) => after.push(then) }));
    for (const then of after) then();
    return result;
  }
  return {
    read: repositories(db, ways),
    async transaction(work) {
      for (let tried = 1; ; tried += 1) {
        try {
          return await once(work);
        } catch (error) {
          if (tried >= triesOnConflict || !ways.isConflict?.(error)) throw error;
        }
      }
    },
    isPassing: (error) => ways.isPassing?.(error) ?? false,
    close: () => db.destroy(),
  };
}
