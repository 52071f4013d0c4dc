import assert from "node:assert/strict";
import { test } from "node:test";
import { Hub } from "./hub.ts";

test("a follower reads now and at every notification, misses none, and ends when it is done", async () => {
  const hub = new Hub();
  const items: number[] = [];
  let read = 0;
  const stop = new AbortController();
  const follow = (async () => {
    const source = hub.follow(
      "s",
      async () => {
        read += 1;
        if (read === 1) hub.notify("s"); // during the read
        return { items: [read], done: read === 3 };
      },
      stop.signal,
    );
    for await (const item of source) {
      items.push(item);
      if (item === 2) queueMicrotask(() => hub.notify("s"));
    }
  })();
  await follow;
  assert.deepEqual(items, [1, 2, 3]);
});

test("an aborted follower ends", async () => {
  const stop = new AbortController();
  const follow = (async () => {
    for await (const _ of new Hub().follow("s", async () => ({ items: [], done: false }), stop.signal));
  })();
  stop.abort();
  await follow;
});
