import { after, before, describe } from "node:test";
import { Postgres, withoutPostgres } from "../platform/database/postgres.fixture.ts";
import { repositoryConformance } from "./repository.conformance.ts";
import { postgresStore } from "./store.ts";

describe("PostgreSQL", { skip: withoutPostgres }, () => {
  let postgres: Postgres;
  before(() => {
    postgres = Postgres.start();
  });
  after(() => postgres.dispose());
  repositoryConformance("PostgreSQL", () =>
    postgresStore(postgres.database("conformance"), (error) => {
      throw error;
    }),
  );
});
