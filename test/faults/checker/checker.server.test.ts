import { expect, test } from "vitest";
import { createSqliteStore } from "../../../src/store/sqlite/sqlite-store.ts";
import { eventually } from "../../support/eventually.ts";
import { randomFor } from "../../support/seed.ts";
import { startTestServer } from "../../support/server.ts";
import type { ChatClient } from "../clients/chat-client.ts";
import { RawClient } from "../clients/raw-client.ts";
import { SdkClient } from "../clients/sdk-client.ts";
import { type Dump, dumpStore } from "../dump.ts";
import { check } from "./checker.ts";

test("nothing is found in what a real server and its clients did, over broken streams and a restart", async () => {
  const server = await startTestServer();
  const { address } = server;
  const random = randomFor("checker");
  const owner = new RawClient({ address, userId: "owner", random });
  const raw = new RawClient({ address, userId: "raw", random });
  const device = new RawClient({ address, userId: "raw", deviceId: "second", random });
  const sdk = new SdkClient({ address, userId: "sdk" });
  const guest = new RawClient({ address, userId: "guest", random });
  const clients: ChatClient[] = [owner, raw, device, sdk, guest];
  let sent = 0;
  const send = async (client: ChatClient, to: { groupId: string } | { recipientId: string }) => {
    const clientMessageId = `m${++sent}`;
    await client.perform({ f: "send", to, clientMessageId, body: `body ${clientMessageId}` });
  };
  const group = { groupId: "team" };
  let dump: Dump;
  try {
    for (const client of clients) await client.start();
    await owner.perform({ f: "create-group", ...group, memberIds: ["raw", "sdk"] });
    const talk = async () => {
      for (let n = 0; n < 10; n++) {
        await Promise.all(clients.map((client) => send(client, group)));
        await Promise.all([send(raw, { recipientId: "sdk" }), send(sdk, { recipientId: "guest" })]);
        if (n % 4 === 1) raw.breakStream();
      }
    };
    await talk();
    await guest.perform({ f: "join", ...group });
    await talk();
    await server.restart();
    await talk();
    await owner.perform({ f: "remove", ...group, userIds: ["guest"] });
    await guest.perform({ f: "leave", ...group });
    await sdk.perform({ f: "leave", ...group });
    await talk();
    // A last message to everyone comes after all others.
    for (const recipientId of ["raw", "sdk", "guest"]) {
      const clientMessageId = `last-${recipientId}`;
      await owner.perform({ f: "send", to: { recipientId }, clientMessageId, body: clientMessageId });
    }
    const readers = clients.filter((client) => client !== owner);
    await eventually(() => readers.every((client) => client.has(`last-${client.userId}`)));
  } finally {
    for (const client of clients) await client.close();
    await server.server.close();
    const store = await createSqliteStore({ path: `${server.dataDir}/parlance.db` });
    dump = await dumpStore(store);
    await store.close();
    await server.close();
  }
  const histories = clients.map(({ history }) => history);
  const expectCaughtUp = histories.map(({ client }) => client).filter((client) => client !== "owner/default");
  expect(dump.events.length).toBeGreaterThan(100);
  expect(check({ histories, dump, expectCaughtUp })).toEqual([]);

  // The same run, as it would be with an event that was never delivered.
  const seen = raw.history.entries.findIndex((entry) => entry.type === "event" && entry.event.seq > 3);
  raw.history.entries.splice(seen, 1);
  expect(check({ histories, dump })).not.toEqual([]);
});
