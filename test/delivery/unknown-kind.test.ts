/** Events of a kind that only later releases know pass through everything as they are. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type ClientEvent, connect } from "../../clients/typescript/index.ts";
import { EventKind, type ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import { backupStore } from "../../src/store/sqlite/file/backup.ts";
import { checkStore } from "../../src/store/sqlite/file/check.ts";
import { directConversationId } from "../../wire/ids.ts";
import { httpClients, type Way, ways } from "../connect/clients.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";
import { appendUnknown, unknownField } from "../support/unknown-events.ts";

const conversationId = directConversationId("alice", "bob");
let server: TestServer;
let token: string;

/** Messages 1 and 2 with events that nobody knows around each. */
beforeAll(async () => {
  server = await startTestServer();
  const alice = await server.login("alice");
  for (const body of ["1", "2"]) {
    await alice.chat.sendDirect({ recipientId: "bob", content: text(body) });
    await server.restart({}, () => appendUnknown(server.dataDir, conversationId, 2));
  }
  token = (await server.login("bob")).token;
});
afterAll(() => server.close());

/** What a client without a place in the log is told of the conversation, up to where it has caught up. */
const expected = [
  { seq: 1n, case: "message" },
  { seq: 2n, case: undefined },
  { seq: 3n, case: undefined },
  { seq: 4n, case: "message" },
  { seq: 5n, case: undefined },
  { seq: 6n, case: undefined },
];
const placesOf = (events: readonly ServerEvent[]) =>
  events
    .filter((event) => event.conversationId === conversationId)
    .map(({ seq, event }) => ({ seq, case: event.case }));

test("a stream gets them in their place, with all that is in them", async () => {
  const stream = (await server.login("bob", "streaming")).stream();
  await stream.open();
  await stream.next("caughtUp");
  expect(placesOf(stream.events)).toEqual(expected);
  const [unknown] = stream.events.filter(({ event, cursor }) => event.case === undefined && cursor);
  expect(unknown?.$unknown).toEqual([{ no: unknownField, wireType: 2, data: expect.anything() }]);
  expect(Buffer.from(unknown?.$unknown?.[0]?.data ?? []).toString("latin1")).toContain("unknown 1");
  expect(unknown?.acceptTime).toBeDefined();
  expect(unknown?.cursor?.position).toBe(2n);
  stream.cancel();
});

test("who chose other kinds does not get them, and goes on", async () => {
  const stream = (await server.login("bob", "choosing")).stream();
  await stream.open({ eventKinds: [EventKind.MESSAGE] });
  await stream.next("caughtUp");
  expect(placesOf(stream.events)).toEqual(expected.filter((event) => event.case === "message"));
  stream.cancel();
});

test.each(Object.keys(ways) as Way[])("Listen gets them by %s", async (way) => {
  const { chat, close } = httpClients(way, server.server.httpAddress as string, {
    authorization: `Bearer ${(await server.login("bob", `by ${way}`)).token}`,
  });
  onTestFinished(close);
  const events: ServerEvent[] = [];
  for await (const response of chat.listen({})) {
    events.push(...response.events);
    if (response.events.some(({ event }) => event.case === "caughtUp")) break;
  }
  expect(placesOf(events)).toEqual(expected);
});

test("in JSON there is their place, their time and their cursor", async () => {
  const response = await fetch(`http://${server.server.httpAddress}/parlance.chat.v1.ChatService/Listen`, {
    method: "POST",
    headers: { "content-type": "application/connect+json", authorization: `Bearer ${token}` },
    body: Buffer.concat([Buffer.from([0, 0, 0, 0, 2]), Buffer.from("{}")]),
  });
  const reader = response.body?.getReader();
  let received = "";
  while (!received.includes("caughtUp"))
    received += Buffer.from((await reader?.read())?.value ?? []).toString("latin1");
  await reader?.cancel();
  const events = [...received.matchAll(/\{"events":.*?\}\]\}/g)].flatMap(
    ([json]) => (JSON.parse(json) as { events: JsonObject[] }).events,
  );
  expect(events.find(({ seq }) => seq === "2")).toEqual({
    cursor: { epoch: expect.any(String), position: "2" },
    conversationId,
    seq: "2",
    acceptTime: expect.stringMatching(/^20/),
  });
});

test("the client shows none of a thousand between messages, moves on and opens no other stream", async () => {
  const events: ClientEvent[] = [];
  const client = await connect({
    address: server.address,
    credentials: { devUserId: "bob" },
    device: { deviceId: "sdk" },
    replayLimit: 10_000,
    onEvent: (event) => void events.push(event),
  });
  onTestFinished(() => client.close());
  const texts = () => events.flatMap((event) => (event.case === "message" ? [event.value.seq] : []));
  await eventually(() => texts().length === 2);
  await server.restart({}, () => appendUnknown(server.dataDir, conversationId, 1_000));
  const alice = await server.login("alice");
  await alice.chat.sendDirect({ recipientId: "bob", content: text("3") });
  await eventually(() => texts().length === 3);
  expect(texts()).toEqual([1n, 4n, 1_007n]);
  expect(events.flatMap((event) => ("place" in event ? [event.place] : []))).toEqual(
    [1n, 4n, 1_007n].map((seq) => ({ conversationId, seq })),
  );
  expect(events.map((event) => event.case)).not.toContain(undefined);
  // One for the restart.
  expect(client.stats).toMatchObject({ gaps: 0, repeats: 0, reconnects: 1 });
});

test("a check finds nothing wrong, and a backup has them", async () => {
  const folder = mkdtempSync(join(tmpdir(), "parlance-unknown-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const copy = join(folder, "parlance.db");
  await server.restart({}, () => {
    expect(checkStore(join(server.dataDir, "parlance.db")).flatMap(({ problems }) => problems)).toEqual([]);
  });
  const { lastPosition } = backupStore(join(server.dataDir, "parlance.db"), copy);
  expect(checkStore(copy).flatMap(({ problems }) => problems)).toEqual([]);
  expect(lastPosition).toBe(1_007);
});
