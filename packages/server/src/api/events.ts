import { z } from "zod";
import type { Hub } from "../platform/events/hub.ts";
import { route } from "../platform/http/route.ts";
import { type CloudEvent, cloudEvent, eventTypePrefix } from "../runs/cloud-event.ts";
import { allEvents } from "../runs/journal.ts";
import type { Store } from "../state/store.ts";
import { instant, optionalText } from "./shared.ts";

export const cloudEventSchema = z
  .object({
    specversion: z.literal("1.0"),
    id: z.string(),
    source: z.string(),
    type: z.string(),
    subject: z.string(),
    time: instant,
    datacontenttype: z.literal("application/json"),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: "CloudEvent" });

const pageSize = 500;

/** Whether an event is of one of these types: `run.ended`, or `run.*`, with or without the prefix. None means all. */
export const isOfType = (type: string, types: readonly string[]): boolean =>
  types.length === 0 ||
  types
    .map((of) => of.replace(eventTypePrefix, ""))
    .some((of) => (of.endsWith("*") ? type.startsWith(of.slice(0, -1)) : type === of));

/** Everything that happens to runs. */
export const eventRoutes = (parts: { eventStore: Pick<Store, "read">; hub: Hub; publicUrl: string }) => ({
  "GET /events": route({
    tag: "event",
    stream: true,
    summary: "What happens to any run, as it happens: CloudEvents. A client that comes back goes on where it was",
    query: z.object({
      after: z.coerce.number().int().min(0).optional().meta({ description: "cursor; default: from now on" }),
      types: optionalText.meta({ description: "run.ended,step.*; default all" }),
    }),
    reply: cloudEventSchema,
    handler: async function* ({
      query,
      request,
      signal,
    }): AsyncGenerator<{ id: string; event: string; data: unknown }> {
      const { read } = parts.eventStore;
      const types = (query.types ?? "").split(",").filter(Boolean);
      const given = request.headers["last-event-id"] ?? query.after;
      let seq = given === undefined ? await read.events.last() : Number(given);
      yield { id: String(seq), event: "open", data: {} };
      const next = async () => {
        const items = await read.events.page(seq, pageSize);
        seq = items.at(-1)?.seq ?? seq;
        return {
          items: items.filter((item) => isOfType(item.type, types)),
          done: false,
          more: items.length === pageSize,
        };
      };
      for await (const item of parts.hub.follow(allEvents, next, signal)) {
        const event: CloudEvent = cloudEvent(item, parts.publicUrl);
        yield { id: event.id, event: item.type, data: event };
      }
    },
  }),
});
