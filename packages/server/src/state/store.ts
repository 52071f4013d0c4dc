import type { Kysely } from "kysely";
import { type TokenRepository, tokenRepository } from "../access/repository.ts";
import { type ApplicationRepository, applicationRepository } from "../applications/repository.ts";
import { type ArtifactRepository, artifactRepository } from "../artifacts/repository.ts";
import { type CodesetRepository, codesetRepository } from "../codesets/repository.ts";
import { type BundleRepository, bundleRepository } from "../extensions/bundle-repository.ts";
import { type ExtensionRepository, extensionRepository } from "../extensions/repository.ts";
import { migrate } from "../platform/database/migrate.ts";
import { openSqlite } from "../platform/database/node-sqlite.ts";
import { type ProjectRepository, projectRepository } from "../projects/repository.ts";
import { type RunnableRepository, runnableRepository } from "../runnables/repository.ts";
import { type CacheRepository, cacheRepository } from "../runs/cache-repository.ts";
import { type EventRepository, eventRepository } from "../runs/event-repository.ts";
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
import { migrations, sqliteDialect } from "./migrations.ts";
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
  close(): Promise<void>;
}

const repositories = (db: Db): Repositories => ({
  projects: projectRepository(db),
  codesets: codesetRepository(db),
  artifacts: artifactRepository(db),
  workflows: workflowRepository(db),
  assignments: assignmentRepository(db),
  runs: runRepository(db),
  events: eventRepository(db),
  cache: cacheRepository(db),
  webhooks: webhookRepository(db),
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
  return storeOver(db);
}

export function storeOver(db: Db): Store {
  return {
    read: repositories(db),
    async transaction(work) {
      const after: (() => void)[] = [];
      const result = await db
        .transaction()
        .execute((transaction) => work({ ...repositories(transaction), afterCommit: (then) => after.push(then) }));
      for (const then of after) then();
      return result;
    },
    close: () => db.destroy(),
  };
}
