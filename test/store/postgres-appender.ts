/**
 * Sends to one group, several messages at a time, again where something fails, and
 * prints where each stands: `postgres-appender.ts URL GROUP NAME COUNT`. Names
 * that are the same send the same messages.
 */

import { ChatError } from "../../src/model/errors.ts";
import type { Appended } from "../../src/model/records.ts";
import { createPostgresStore, StoreOpenError } from "../../src/store/postgres/postgres-store.ts";
import type { Store } from "../../src/store/store.ts";

const [url, groupId, name, count] = process.argv.slice(2) as [string, string, string, string];
const store = await open();

let next = 0;
await Promise.all(
  Array.from({ length: 10 }, async () => {
    while (next < Number(count)) {
      const text = `${name} ${next++}`;
      const { position, seq } = await send(text);
      process.stdout.write(`${position}\t${seq}\t${text}\n`);
    }
  }),
);
await store.close();

async function open(): Promise<Store> {
  for (;;) {
    try {
      return await createPostgresStore({ url });
    } catch (error) {
      if (!(error instanceof StoreOpenError && error.notReachable)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function send(text: string): Promise<Appended> {
  for (;;) {
    try {
      return await store.append({
        conversationId: `g:${groupId}`,
        senderId: "sender",
        groupId,
        clientMessageId: text,
        body: new TextEncoder().encode(text),
      });
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
