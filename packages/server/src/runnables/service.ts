import { failure } from "@fuseml/core/errors";
import { type Clock, instant } from "../platform/clock.ts";
import type { Store } from "../state/store.ts";
import type { StoredRunnable } from "./repository.ts";

/** Descriptors of images that can be steps. */
export class RunnableService {
  private readonly parts: { store: Store; clock: Clock };

  constructor(parts: RunnableService["parts"]) {
    this.parts = parts;
  }

  async register(body: Readonly<Record<string, unknown>> & { id: string; kind: string }): Promise<StoredRunnable> {
    const { store, clock } = this.parts;
    const stored = { id: body.id, kind: body.kind, created: instant(clock), body };
    await store.transaction((unit) => unit.runnables.save(stored));
    return stored;
  }

  /** @throws `runnable.not-found` */
  async get(id: string): Promise<StoredRunnable> {
    const runnable = await this.parts.store.read.runnables.get(id);
    if (!runnable) throw failure("runnable.not-found", { name: id });
    return runnable;
  }

  /** `id` and `kind` are regular expressions over the whole text, as upstream has it. @throws `request.invalid` */
  async list(filter: {
    id?: string | undefined;
    kind?: string | undefined;
    labels?: Readonly<Record<string, string>>;
  }): Promise<StoredRunnable[]> {
    const matches = (pattern: string | undefined, text: string): boolean => {
      if (!pattern) return true;
      try {
        return new RegExp(`^(?:${pattern})$`).test(text);
      } catch (error) {
        throw failure("request.invalid", { message: `"${pattern}" is not a regular expression` }, { cause: error });
      }
    };
    const all = await this.parts.store.read.runnables.list();
    return all.filter((runnable) => {
      const labels = (runnable.body.labels ?? {}) as Record<string, unknown>;
      return (
        matches(filter.id, runnable.id) &&
        matches(filter.kind, runnable.kind) &&
        Object.entries(filter.labels ?? {}).every(
          ([name, pattern]) => name in labels && matches(pattern, String(labels[name])),
        )
      );
    });
  }
}
