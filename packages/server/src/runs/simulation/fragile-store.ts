import type { Repositories, Store, Unit } from "../../state/store.ts";

/** What the engine of a dead process meets. It goes nowhere: nobody is there to hear it. */
export class Dead extends Error {}

/**
 * The database as one process sees it. The process can die before or after its next commit, and it can stand still: then
 * nothing that it asks for comes back until it goes on.
 */
export class FragileStore implements Store {
  readonly read: Repositories;
  private readonly store: Store;
  private dead = false;
  private dies: "before" | "after" | undefined;
  private frozen: Promise<void> | undefined;
  private thaw: () => void = () => undefined;
  /** Calls so far: who waits until nothing happens any more looks at it. */
  calls = 0;

  constructor(store: Store) {
    this.store = store;
    this.read = this.guarded(store.read);
  }

  /** The process dies now, or around its next commit. */
  die(when: "now" | "before" | "after"): void {
    if (when === "now") this.dead = true;
    else this.dies = when;
  }

  get isDead(): boolean {
    return this.dead;
  }

  freeze(): void {
    this.frozen ??= new Promise((resolve) => {
      this.thaw = resolve;
    });
  }

  get isFrozen(): boolean {
    return this.frozen !== undefined;
  }

  goOn(): void {
    this.frozen = undefined;
    this.thaw();
  }

  private async pass(): Promise<void> {
    this.calls += 1;
    await this.frozen;
    if (this.dead) await new Promise<never>(() => undefined);
  }

  private guarded(repositories: Repositories): Repositories {
    const wrap = (repository: object): object =>
      new Proxy(repository, {
        get: (target, property) => {
          const method = Reflect.get(target, property) as unknown;
          if (typeof method !== "function") return method;
          return async (...args: unknown[]) => {
            await this.pass();
            return (method as (...args: unknown[]) => unknown).apply(target, args);
          };
        },
      });
    return Object.fromEntries(Object.entries(repositories).map(([name, of]) => [name, wrap(of)])) as Repositories;
  }

  async transaction<T>(work: (unit: Unit) => Promise<T>): Promise<T> {
    await this.pass();
    const never = new Promise<never>(() => undefined);
    try {
      const result = await this.store.transaction(async (unit) => {
        const after: (() => void)[] = [];
        const done = await work({ ...unit, afterCommit: (then) => after.push(then) });
        if (this.dies === "before") {
          this.dead = true;
          throw new Dead();
        }
        unit.afterCommit(() => {
          if (this.dies === "after") this.dead = true;
          if (!this.dead) for (const then of after) then();
        });
        return done;
      });
      return this.dead ? await never : result;
    } catch (error) {
      return error instanceof Dead ? never : Promise.reject(error);
    }
  }

  isPassing(error: unknown): boolean {
    return this.store.isPassing(error);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
