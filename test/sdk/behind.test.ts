import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type ClientEvent,
  type ConnectOptions,
  connect,
  createTransport,
  MembershipChange,
  type ParlanceClient,
  type ParlanceError,
  Status,
} from "../../clients/typescript/index.ts";
import type { RunningServer } from "../../src/host/server.ts";
import { serve, temporaryFolder, until } from "./server.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: RunningServer;

beforeAll(async () => {
  folder = await temporaryFolder();
  server = await serve(folder.path);
});

afterAll(async () => {
  await server.close();
  await folder.remove();
});

function join(userId: string, options: Partial<ConnectOptions> = {}): Promise<ParlanceClient> {
  return connect({ address: server.address, credentials: { devUserId: userId }, ...options });
}

/** Connects a user and collects what they are shown. */
async function collect(userId: string, options: Partial<ConnectOptions> = {}) {
  const events: ClientEvent[] = [];
  const client = await join(userId, { ...options, onEvent: (event) => void events.push(event) });
  const messages = () => events.flatMap((event) => (event.case === "message" ? [event.value] : []));
  const caughtUp = () =>
    until(() => events.some((event) => event.case === "caughtUp"), "everything missed was shown");
  return { client, events, messages, caughtUp };
}

/** A content of about this size when encoded. */
function blob(bytes: number) {
  const value = { typeUrl: "type.example.com/Blob", value: new Uint8Array(bytes) };
  return { kind: { case: "custom" as const, value } };
}

test("messages too large for one answer are read in smaller pages", async () => {
  const [alice, bobId] = [await join("large-alice"), "large-bob"];
  await Promise.all(Array.from({ length: 40 }, () => alice.sendDirect(bobId, blob(60_000))));
  const bob = await collect(bobId, {
    replayLimit: 10,
    channelOptions: { "grpc.max_receive_message_length": 200_000 },
  });
  await bob.caughtUp();
  expect(bob.messages().map(({ seq }) => Number(seq))).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  expect(bob.client.stats.reconnects).toBe(0);
  await Promise.all([alice.close(), bob.client.close()]);
});

test("what can never be read ends the client with the reason, after a few tries", async () => {
  const [alice, bobId] = [await join("never-alice"), "never-bob"];
  for (let i = 0; i < 3; i++) await alice.sendDirect(bobId, blob(60_000));
  const states: string[] = [];
  const bob = await join(bobId, {
    replayLimit: 2,
    backoff: { capMs: 10 },
    channelOptions: { "grpc.max_receive_message_length": 50_000 },
  });
  bob.onState((state) => states.push(state));
  const error = await (async () => {
    for await (const event of bob.events()) throw new Error(`it was shown ${event.case}`);
  })().then(
    () => undefined,
    (reason: ParlanceError) => reason,
  );
  expect(error).toMatchObject({ name: "ParlanceError", code: Status.RESOURCE_EXHAUSTED });
  expect(states.at(-1)).toBe("closed");
  expect(bob.stats.reconnects).toBeLessThan(5);
  await Promise.all([alice.close(), bob.close()]);
});

test("after behind no message comes again that was acknowledged", async () => {
  const [alice, bobId] = [await join("again-alice"), "again-bob"];
  const send = (from: number, to: number) =>
    Promise.all(Array.from({ length: to - from }, (_, i) => alice.sendDirect(bobId, String(from + i))));
  await send(0, 300);
  const first = await collect(bobId, { replayLimit: 1_000 });
  await until(() => first.messages().length === 300, "all come");
  await first.client.close();
  await send(300, 360);
  const second = await collect(bobId, { replayLimit: 10 });
  await second.caughtUp();
  expect(second.messages().map(({ seq }) => Number(seq))).toEqual(
    Array.from({ length: 60 }, (_, i) => 301 + i),
  );
  await Promise.all([alice.close(), second.client.close()]);
});

test("who was removed from a group while away is shown so, and gets what was missed elsewhere", async () => {
  const [alice, bobId] = [await join("removed-alice"), "removed-bob"];
  const before = await collect(bobId);
  await alice.groups.createGroup({ groupId: "removed-from", memberIds: [bobId] });
  await until(() => before.events.some((event) => event.case === "membershipChanged"), "the group comes");
  await before.client.close();
  for (let i = 0; i < 20; i++) await alice.sendGroup("removed-from", `g${i}`);
  await alice.groups.removeMembers({ groupId: "removed-from", userIds: [bobId] });
  await alice.sendDirect(bobId, "sorry");

  const bob = await collect(bobId, { replayLimit: 10 });
  await bob.caughtUp();
  const shown = bob.events.flatMap((event) => (event.case === "membershipChanged" ? [event.value] : []));
  expect(shown).toMatchObject([
    { groupId: "removed-from", change: MembershipChange.REMOVED, members: [{ userId: bobId }] },
  ]);
  expect(bob.messages().map((message) => message.content?.kind.value)).toMatchObject([{ body: "sorry" }]);
  await bob.client.close();

  const again = await collect(bobId);
  await again.caughtUp();
  expect(again.events.map((event) => event.case)).toEqual(["caughtUp"]);
  await Promise.all([alice.close(), again.client.close()]);
});

test("a client that is behind in more conversations than one behind tells of gets the messages of all", async () => {
  const transport = createTransport({ address: server.address, clientsPerConnection: 1_000 });
  const bobId = "many-bob";
  const senders = Array.from({ length: 510 }, (_, i) => `many-${i}`);
  for (let i = 0; i < senders.length; i += 30) {
    await Promise.all(
      senders.slice(i, i + 30).map(async (userId) => {
        const sender = await join(userId, { stream: false, transport });
        await sender.sendDirect(bobId, userId);
        await sender.close();
      }),
    );
  }
  const bob = await collect(bobId, { replayLimit: 10 });
  await until(() => bob.events.some((event) => event.case === "caughtUp"), "all is shown");
  expect(
    bob
      .messages()
      .map(({ senderId }) => senderId)
      .sort(),
  ).toEqual([...senders].sort());
  expect(bob.events.map((event) => event.case)).not.toContain("behind");
  await bob.client.close();
});
