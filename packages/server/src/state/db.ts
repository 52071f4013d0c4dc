import type { Kysely } from "kysely";
import type { Schema } from "./schema.ts";

/** A connection, or a transaction on it: what a repository works on. */
export type Db = Kysely<Schema>;
