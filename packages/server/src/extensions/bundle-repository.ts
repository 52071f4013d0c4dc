import type { Db } from "../state/db.ts";

/** An installed bundle and what it must know to start again; `state` is sealed. */
export type InstalledBundle = { readonly name: string; readonly state: string; readonly created: string };

export interface BundleRepository {
  get(name: string): Promise<InstalledBundle | undefined>;
  list(): Promise<InstalledBundle[]>;
  save(bundle: InstalledBundle): Promise<void>;
  remove(name: string): Promise<boolean>;
}

export const bundleRepository = (db: Db): BundleRepository => ({
  get: (name) => db.selectFrom("installed_bundle").selectAll().where("name", "=", name).executeTakeFirst(),
  list: () => db.selectFrom("installed_bundle").selectAll().orderBy("name").execute(),
  async save(bundle) {
    await db
      .insertInto("installed_bundle")
      .values(bundle)
      .onConflict((conflict) => conflict.column("name").doUpdateSet({ state: bundle.state }))
      .execute();
  },
  async remove(name) {
    const result = await db.deleteFrom("installed_bundle").where("name", "=", name).executeTakeFirst();
    return result.numDeletedRows > 0n;
  },
});
