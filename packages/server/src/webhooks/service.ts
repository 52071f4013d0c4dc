import { createHmac } from "node:crypto";
import { failure } from "@fuseml/core/errors";
import { type Clock, instant } from "../platform/clock.ts";
import type { Hub } from "../platform/events/hub.ts";
import type { Log } from "../platform/log.ts";
import type { Cipher } from "../platform/secrets/cipher.ts";
import type { Timers } from "../platform/timers.ts";
import { cloudEvent } from "../runs/cloud-event.ts";
import type { StoredEvent } from "../runs/event-repository.ts";
import { allEvents } from "../runs/journal.ts";
import type { Store } from "../state/store.ts";
import type { StoredWebhook } from "./repository.ts";

/** What a webhook asks for. Empty fields ask for everything. */
export type WebhookGiven = Pick<StoredWebhook, "name" | "url" | "types" | "project" | "workflow"> & {
  /** Signs what is sent: header `X-FuseML-Signature-256`, as `sha256=` and the HMAC of the body. */
  readonly secret: string;
};

export type WebhookParts = {
  readonly store: Store;
  readonly cipher: Cipher;
  readonly hub: Hub;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  readonly publicUrl: string;
  /** Whether this replica delivers: one of all does. */
  readonly delivers: () => boolean;
  readonly fetch: typeof fetch;
};

const pageSize = 200;
const answerWithinMs = 10_000;
const longestPauseMs = 10 * 60_000;

/**
 * Tells others what happens to runs: each event in order, at least once, until it is answered with a 2xx. Where each one is
 * stands in the database, so that nothing is lost while nobody answers or no server runs.
 */
export class Webhooks {
  private readonly parts: WebhookParts;
  private readonly busy = new Map<string, Promise<void>>();
  private readonly again = new Set<string>();
  private readonly callOffs = new Map<string, () => void>();
  private stopListening: (() => void) | undefined;
  private stopped = false;

  constructor(parts: WebhookParts) {
    this.parts = parts;
  }

  /** Delivers what is outstanding, and from now on what happens. */
  start(): void {
    this.stopListening = this.parts.hub.listen(allEvents, () => void this.deliverAll());
    void this.deliverAll();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.stopListening?.();
    for (const callOff of this.callOffs.values()) callOff();
    await Promise.all(this.busy.values());
  }

  /** From now on it is told. @throws `webhook.exists` */
  async add({ secret, ...given }: WebhookGiven): Promise<StoredWebhook> {
    const { store, cipher, clock } = this.parts;
    return store.transaction(async (unit) => {
      const webhook: StoredWebhook = {
        ...given,
        secret: secret === "" ? "" : cipher.seal(secret),
        cursor: await unit.events.last(),
        failures: 0,
        nextTry: null,
        lastError: null,
        created: instant(clock),
      };
      if (!(await unit.webhooks.add(webhook))) throw failure("webhook.exists", { name: given.name });
      return webhook;
    });
  }

  list(): Promise<StoredWebhook[]> {
    return this.parts.store.read.webhooks.list();
  }

  /** @throws `webhook.not-found` */
  async remove(name: string): Promise<void> {
    this.callOffs.get(name)?.();
    if (!(await this.parts.store.transaction((unit) => unit.webhooks.remove(name))))
      throw failure("webhook.not-found", { name });
  }

  private async deliverAll(): Promise<void> {
    if (this.stopped || !this.parts.delivers()) return;
    try {
      for (const webhook of await this.list()) this.deliver(webhook.name);
    } catch (error) {
      this.parts.log.error({ err: error }, "webhooks could not be looked at");
    }
  }

  private deliver(name: string): void {
    if (this.stopped) return;
    // what happens during a delivery is looked for when it is over
    if (this.busy.has(name)) {
      this.again.add(name);
      return;
    }
    const work = this.outstanding(name)
      .catch((error: unknown) => this.parts.log.error({ err: error, webhook: name }, "a webhook could not be served"))
      .finally(() => {
        this.busy.delete(name);
        if (this.again.delete(name)) this.deliver(name);
      });
    this.busy.set(name, work);
  }

  private async outstanding(name: string): Promise<void> {
    const { store, clock } = this.parts;
    for (;;) {
      const webhook = (await store.read.webhooks.list()).find((of) => of.name === name);
      if (!webhook || this.stopped) return;
      if (webhook.nextTry !== null && webhook.nextTry > instant(clock)) return this.wait(webhook);
      const events = await store.read.events.page(webhook.cursor, pageSize);
      if (events.length === 0) return;
      if (!(await this.sendPage(webhook, events))) return;
    }
  }

  /** @returns whether all of it was delivered */
  private async sendPage(webhook: StoredWebhook, events: readonly StoredEvent[]): Promise<boolean> {
    let cursor = webhook.cursor;
    for (const event of events) {
      if (this.stopped) return false;
      const error = (await this.isFor(webhook, event)) ? await this.send(webhook, event) : undefined;
      if (error === undefined) {
        cursor = event.seq;
        continue;
      }
      const failures = webhook.failures + 1;
      const pause = Math.min(longestPauseMs, 1000 * 2 ** Math.min(failures - 1, 20));
      const nextTry = new Date(this.parts.clock() + pause).toISOString();
      await this.note(webhook.name, { cursor, failures, nextTry, lastError: error });
      this.wait({ ...webhook, nextTry });
      return false;
    }
    await this.note(webhook.name, { cursor, failures: 0, nextTry: null, lastError: null });
    return true;
  }

  private note(
    name: string,
    change: Pick<StoredWebhook, "cursor" | "failures" | "nextTry" | "lastError">,
  ): Promise<void> {
    return this.parts.store.transaction((unit) => unit.webhooks.update(name, change));
  }

  private wait({ name, nextTry }: StoredWebhook): void {
    this.callOffs.get(name)?.();
    if (nextTry === null) return;
    this.callOffs.set(
      name,
      this.parts.timers.at(Date.parse(nextTry), () => this.deliver(name)),
    );
  }

  private async isFor(webhook: StoredWebhook, event: StoredEvent): Promise<boolean> {
    const wanted = webhook.types.some((of) =>
      of.endsWith("*") ? event.type.startsWith(of.slice(0, -1)) : of === event.type,
    );
    if (webhook.types.length > 0 && !wanted) return false;
    if (webhook.project === "" && webhook.workflow === "") return true;
    const run = await this.parts.store.read.runs.get(event.subject.replace(/^run:/, ""));
    const fits = (asked: string, found: string | undefined): boolean => asked === "" || asked === found;
    return fits(webhook.project, run?.project) && fits(webhook.workflow, run?.workflow);
  }

  /** @returns why it was not delivered, or nothing when it was */
  private async send(webhook: StoredWebhook, event: StoredEvent): Promise<string | undefined> {
    const body = JSON.stringify(cloudEvent(event, this.parts.publicUrl));
    const secret = webhook.secret === "" ? "" : this.parts.cipher.open(webhook.secret);
    const signature = createHmac("sha256", secret).update(body).digest("hex");
    try {
      const response = await this.parts.fetch(webhook.url, {
        method: "POST",
        headers: {
          "content-type": "application/cloudevents+json; charset=utf-8",
          ...(secret === "" ? {} : { "x-fuseml-signature-256": `sha256=${signature}` }),
        },
        body,
        redirect: "manual",
        signal: AbortSignal.timeout(answerWithinMs),
      });
      await response.body?.cancel();
      return response.ok ? undefined : `it answered ${response.status}`;
    } catch (error) {
      const { message, cause } = error as Error & { cause?: { code?: string } };
      return cause?.code ?? message;
    }
  }
}
