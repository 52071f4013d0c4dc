import type { Db } from "../state/db.ts";

export type StoredProject = {
  readonly name: string;
  readonly description: string;
  readonly created: string;
  /** How many steps of its runs may run at once; null for no limit. */
  readonly parallelism: number | null;
};
/** `password` is sealed. */
export type StoredProjectUser = {
  readonly project: string;
  readonly name: string;
  readonly email: string;
  readonly password: string;
};

export interface ProjectRepository {
  /** @returns false when the name is taken */
  add(project: StoredProject): Promise<boolean>;
  get(name: string): Promise<StoredProject | undefined>;
  /** @returns whether it is there */
  limit(name: string, parallelism: number | null): Promise<boolean>;
  /** By name. */
  list(): Promise<StoredProject[]>;
  /** @returns whether it was there */
  remove(name: string): Promise<boolean>;
  /** Keeps the user that is there already. */
  addUser(user: StoredProjectUser): Promise<void>;
  users(project?: string): Promise<StoredProjectUser[]>;
}

export const projectRepository = (db: Db): ProjectRepository => ({
  async add(project) {
    const result = await db
      .insertInto("project")
      .values(project)
      .onConflict((conflict) => conflict.column("name").doNothing())
      .executeTakeFirst();
    return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
  },
  get: (name) => db.selectFrom("project").selectAll().where("name", "=", name).executeTakeFirst(),
  list: () => db.selectFrom("project").selectAll().orderBy("name").execute(),
  async limit(name, parallelism) {
    const result = await db.updateTable("project").set({ parallelism }).where("name", "=", name).executeTakeFirst();
    return result.numUpdatedRows > 0n;
  },
  async remove(name) {
    const result = await db.deleteFrom("project").where("name", "=", name).executeTakeFirst();
    return result.numDeletedRows > 0n;
  },
  async addUser(user) {
    await db
      .insertInto("project_user")
      .values(user)
      .onConflict((conflict) => conflict.columns(["project", "name"]).doNothing())
      .execute();
  },
  users: (project) =>
    db
      .selectFrom("project_user")
      .selectAll()
      .$if(project !== undefined, (query) => query.where("project", "=", project ?? ""))
      .orderBy("name")
      .execute(),
});
