/** Limits that apply to one step run: how many of its agent, of its run and of its project may run at once. */
export type SlotRequest = {
  readonly run: string;
  readonly project: string;
  readonly limits: { readonly run?: number; readonly project?: number };
};

type Waiter = { readonly request: SlotRequest; readonly go: () => void };

/** Places for step runs that go side by side. Who asks first goes first, unless its own run or project has none left. */
export class Slots {
  private readonly total: number;
  private readonly used = new Map<string, number>();
  private readonly waiting: Waiter[] = [];
  private taken = 0;

  constructor(total: number) {
    this.total = total;
  }

  /** Waits for a place. @returns what gives it back; calling that again changes nothing */
  acquire(request: SlotRequest): Promise<() => void> {
    return new Promise((resolve) => {
      const go = () => resolve(this.take(request));
      if (this.waiting.length === 0 && this.fits(request)) go();
      else {
        this.waiting.push({ request, go });
        this.serve();
      }
    });
  }

  /** Takes a place without asking: for what runs already. */
  take({ run, project }: SlotRequest): () => void {
    const keys = [`run ${run}`, `project ${project}`];
    this.taken += 1;
    for (const key of keys) this.used.set(key, (this.used.get(key) ?? 0) + 1);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.taken -= 1;
      for (const key of keys) {
        const left = (this.used.get(key) ?? 1) - 1;
        if (left > 0) this.used.set(key, left);
        else this.used.delete(key);
      }
      this.serve();
    };
  }

  private fits({ run, project, limits }: SlotRequest): boolean {
    const below = (key: string, limit: number | undefined): boolean =>
      limit === undefined || (this.used.get(key) ?? 0) < limit;
    return this.taken < this.total && below(`run ${run}`, limits.run) && below(`project ${project}`, limits.project);
  }

  private serve(): void {
    for (let at = 0; at < this.waiting.length && this.taken < this.total; ) {
      const waiter = this.waiting[at];
      if (waiter && this.fits(waiter.request)) {
        this.waiting.splice(at, 1);
        waiter.go();
      } else at += 1;
    }
  }
}
