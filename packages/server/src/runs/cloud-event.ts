import type { StoredEvent } from "./event-repository.ts";

/** Types of events that leave the server start so. */
export const eventTypePrefix = "org.fuseml.";

/** An event as the world sees it: CloudEvents 1.0, structured JSON. */
export type CloudEvent = {
  readonly specversion: "1.0";
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: "application/json";
  readonly data: Readonly<Record<string, unknown>>;
};

/** @param publicUrl how others reach the server */
export const cloudEvent = (event: StoredEvent, publicUrl: string): CloudEvent => {
  const subject = event.subject.replace(/^run:/, "");
  return {
    specversion: "1.0",
    id: String(event.seq),
    source: `${publicUrl}/runs/${subject}`,
    type: `${eventTypePrefix}${event.type}`,
    subject,
    time: event.time,
    datacontenttype: "application/json",
    data: event.data,
  };
};
