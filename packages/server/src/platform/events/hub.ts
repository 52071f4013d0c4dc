import { EventEmitter } from "node:events";

/** Wakes those who wait for something to happen to a subject. It carries no data: they read the database again. */
export class Hub {
  private readonly emitter = new EventEmitter().setMaxListeners(0);

  /** To be called after the commit that changed the subject. */
  notify(subject: string): void {
    this.emitter.emit(subject);
  }

  /** Something happened elsewhere, nobody knows to what: everyone looks. */
  notifyAll(): void {
    for (const subject of this.emitter.eventNames()) this.emitter.emit(subject);
  }

  /** Calls back on every notification until the returned function is called. */
  listen(subject: string, wake: () => void): () => void {
    this.emitter.on(subject, wake);
    return () => this.emitter.off(subject, wake);
  }

  /**
   * Runs `read` now and after every notification, and yields what it returns until it says it is done.
   * A notification during `read` is not lost.
   */
  async *follow<T>(
    subject: string,
    read: () => Promise<{ items: readonly T[]; done: boolean }>,
    signal: AbortSignal,
  ): AsyncIterable<T> {
    let pending = true;
    let wake: () => void = () => undefined;
    const stir = () => {
      pending = true;
      wake();
    };
    const stop = this.listen(subject, stir);
    signal.addEventListener("abort", stir);
    try {
      while (!signal.aborted) {
        if (!pending) {
          await new Promise<void>((resolve) => {
            wake = resolve;
            if (pending) resolve();
          });
        }
        if (signal.aborted) return;
        pending = false;
        const { items, done } = await read();
        yield* items;
        if (done) return;
      }
    } finally {
      stop();
      signal.removeEventListener("abort", stir);
    }
  }
}
