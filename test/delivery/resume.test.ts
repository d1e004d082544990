import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EventKind } from "../../gen/parlance/chat/v1/event_pb.js";
import { MembershipChange } from "../../gen/parlance/chat/v1/group_pb.js";
import { connect, layCable, listAll, positionsOf, sendAll } from "../support/connect.ts";
import { eventually } from "../support/eventually.ts";
import { seed } from "../support/seed.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** A direct message as a stream takes it. */
function direct(recipientId: string, body: string) {
  return { case: "sendDirect" as const, value: { recipientId, content: text(body) } };
}

function group(groupId: string, body: string) {
  return { case: "sendGroup" as const, value: { groupId, content: text(body) } };
}

const bodies = (count: number, from = 1) => Array.from({ length: count }, (_, i) => String(from + i));

/** Sends direct messages with the bodies 1, 2, 3, …, in this order. */
async function say(sender: UserClients, recipientId: string, count: number, from = 1): Promise<void> {
  const stream = sender.stream();
  await stream.open({ eventKinds: [EventKind.TYPING] });
  await sendAll(
    stream,
    bodies(count, from).map((body) => direct(recipientId, body)),
  );
  stream.cancel();
}

/** Opens a device and acknowledges everything, so that it has a place in the log. */
async function placeDevice(user: UserClients): Promise<void> {
  const stream = user.stream();
  await stream.open();
  const { cursor } = await stream.next("caughtUp");
  stream.send({ case: "ack", value: { cursor } as never }, "place");
  await stream.next("done");
  stream.cancel();
  await stream.ended;
}

test("a device goes on after the last event it acknowledged", async () => {
  const [alice, bob] = await Promise.all([server.login("ack-alice"), server.login("ack-bob")]);
  const first = bob.stream();
  await first.open();
  await say(alice, "ack-bob", 10);
  await first.until(() => first.texts().length === 10);
  const fourth = first.events.filter(({ event }) => event.case === "message")[3];
  first.send({ case: "ack", value: { cursor: fourth?.cursor } as never }, "ack");
  await first.next("done");
  first.cancel();

  const second = bob.stream();
  const opened = await second.open();
  expect(opened).toMatchObject({ resumed: true, cursor: fourth?.cursor });
  const caughtUp = await second.next("caughtUp");
  expect(second.texts()).toEqual(bodies(6, 5));
  expect(second.events.map(({ event }) => event.case)).toEqual([
    "opened",
    ...Array(6).fill("message"),
    "caughtUp",
  ]);
  expect(caughtUp.cursor?.position).toBe(BigInt(positionsOf(second).at(-1) as number));
  second.cancel();
});

test("an acknowledgement by the unary call moves the device as one on its stream does", async () => {
  const [alice, bob] = await Promise.all([server.login("unary-alice"), server.login("unary-bob")]);
  const first = bob.stream();
  await first.open();
  await say(alice, "unary-bob", 3);
  await first.until(() => first.texts().length === 3);
  const { cursor } = first.events.filter(({ event }) => event.case === "message")[1] ?? {};
  expect((await bob.chat.ack({ cursor: cursor as NonNullable<typeof cursor> })).cursor).toEqual(cursor);
  first.cancel();
  const second = bob.stream();
  await second.open();
  await second.next("caughtUp");
  expect(second.texts()).toEqual(["3"]);
  second.cancel();
});

test("a stream with resume_from goes on after that cursor, before or behind what the device acknowledged", async () => {
  const [alice, bob] = await Promise.all([server.login("from-alice"), server.login("from-bob")]);
  const first = bob.stream();
  const { cursor: start } = await first.open();
  await say(alice, "from-bob", 6);
  await first.until(() => first.texts().length === 6);
  const cursors = first.events.flatMap(({ event, cursor }) =>
    event.case === "message" && cursor ? [cursor] : [],
  );
  await bob.chat.ack({ cursor: cursors[3] as (typeof cursors)[0] });
  first.cancel();
  for (const [resumeFrom, expected] of [
    [start, bodies(6)],
    [cursors[1], bodies(4, 3)],
    [cursors[4], ["6"]],
    [cursors[5], []],
  ] as const) {
    const stream = bob.stream();
    const opened = await stream.open({ resumeFrom });
    expect(opened).toMatchObject({ resumed: true, cursor: resumeFrom });
    await stream.next("caughtUp");
    expect(stream.texts()).toEqual(expected);
    stream.cancel();
  }
  // A cursor that was named is not an acknowledgement.
  const stream = bob.stream();
  expect((await stream.open()).cursor).toEqual(cursors[3]);
  stream.cancel();
});

test("a device that was away for 3,000 events gets all of them in order, then caught_up, then what is live", async () => {
  const [alice, bob] = await Promise.all([server.login("away-alice"), server.login("away-bob")]);
  await placeDevice(bob);
  await say(alice, "away-bob", 3_000);
  const stream = bob.stream();
  await stream.open({ replayLimit: 5_000 });
  await stream.next("caughtUp");
  expect(stream.texts()).toEqual(bodies(3_000));
  expect(stream.all("message").map(({ seq }) => seq)).toEqual(bodies(3_000).map(BigInt));
  expect(stream.events.at(-1)?.event.case).toBe("caughtUp");
  await say(alice, "away-bob", 1, 3_001);
  await stream.until(() => stream.texts().at(-1) === "3001");
  expect(stream.texts()).toHaveLength(3_001);
  stream.cancel();
});

test("a device that missed more than replay_limit is told where it is behind, and gets what is live", async () => {
  const [alice, bob, carol] = await Promise.all(
    ["b-alice", "b-bob", "b-carol"].map((id) => server.login(id)),
  );
  if (!alice || !bob || !carol) throw new Error("no users");
  await alice.groups.createGroup({ groupId: "b-group", memberIds: ["b-bob"] });
  await say(carol, "b-bob", 2);
  await placeDevice(bob);
  await say(alice, "b-bob", 150);
  await alice.chat.sendGroup({ groupId: "b-group", content: text("in the group") });
  const { result } = await alice.chat.sendGroup({ groupId: "b-group", content: text("again") });

  const stream = bob.stream();
  await stream.open({ replayLimit: 100 });
  const behind = await stream.next("behind");
  // The conversation with Carol has nothing new.
  expect(behind).toMatchObject({
    lastSeqs: { "d:b-alice:b-bob": 150n, "g:b-group": result?.seq },
    firstSeqs: { "d:b-alice:b-bob": 1n, "g:b-group": (result?.seq ?? 0n) - 1n },
    more: false,
  });
  expect(Object.keys(behind.lastSeqs)).toHaveLength(2);
  await stream.next("caughtUp");
  expect(stream.all("message")).toEqual([]);
  await say(alice, "b-bob", 2, 151);
  await stream.until(() => stream.texts().length === 2);
  expect(stream.texts()).toEqual(["151", "152"]);
  expect(positionsOf(stream)[0]).toBeGreaterThan(Number(behind.cursor?.position));

  // The client reads the rest with ListMessages, acknowledges, and is no longer behind.
  const missed = await listAll(bob, { case: "recipientId", value: "b-alice" });
  expect(missed.slice(0, 150).map(({ seq }) => seq)).toEqual(bodies(150).map(BigInt));
  stream.send({ case: "ack", value: { cursor: behind.cursor } as never }, "read");
  await stream.next("done");
  stream.cancel();
  const next = bob.stream();
  await next.open({ replayLimit: 100 });
  await next.next("caughtUp");
  expect(next.all("behind")).toEqual([]);
  expect(next.texts()).toEqual(["151", "152"]);
  next.cancel();
});

test("where a device is behind is told in parts, of which only the last moves its cursor", async () => {
  const reader = await server.login("parts-reader");
  await placeDevice(reader);
  const others = Array.from({ length: 501 }, (_, i) => `parts-${i}`);
  const chat = (userId: string) => server.login(userId).then((each) => each.chat);
  for (let i = 0; i < others.length; i += 50) {
    await Promise.all(
      others.slice(i, i + 50).map(async (userId) => {
        await (await chat(userId)).sendDirect({ recipientId: "parts-reader", content: text("hello") });
      }),
    );
  }

  const stream = reader.stream();
  const { cursor } = await stream.open({ replayLimit: 10 });
  await stream.next("caughtUp");
  const [first, last] = stream.all("behind");
  expect(stream.all("behind")).toHaveLength(2);
  expect([first?.more, last?.more]).toEqual([true, false]);
  expect(first?.cursor).toEqual(cursor);
  expect(Object.keys(first?.lastSeqs ?? {})).toHaveLength(500);
  const told = stream.all("behind").flatMap(({ lastSeqs }) => Object.keys(lastSeqs));
  expect(told.sort()).toEqual(others.map((id) => `d:${id}:parts-reader`).sort());

  // Whoever acknowledges the first only is told all of it again.
  stream.send({ case: "ack", value: { cursor: first?.cursor } as never }, "first");
  await stream.next("done");
  stream.cancel();
  await stream.ended;
  const again = reader.stream();
  expect((await again.open({ replayLimit: 10 })).cursor).toEqual(cursor);
  await again.next("caughtUp");
  expect(again.all("behind")).toEqual(stream.all("behind"));
  again.cancel();
});

test("a device that was removed from groups while it is behind is told how that came about", async () => {
  const [owner, member] = await Promise.all([server.login("gone-owner"), server.login("gone-member")]);
  const ids = ["gone-removed", "gone-disbanded", "gone-back"];
  for (const groupId of ids) await owner.groups.createGroup({ groupId, memberIds: ["gone-member"] });
  await placeDevice(member);
  for (const groupId of ids)
    for (let i = 0; i < 10; i++) await owner.chat.sendGroup({ groupId, content: text(`${i}`) });
  await owner.groups.removeMembers({ groupId: "gone-removed", userIds: ["gone-member"] });
  await owner.groups.removeMembers({ groupId: "gone-back", userIds: ["gone-member"] });
  await owner.groups.addMembers({ groupId: "gone-back", userIds: ["gone-member"] });
  await owner.groups.disbandGroup({ groupId: "gone-disbanded" });
  await owner.chat.sendGroup({ groupId: "gone-removed", content: text("not for the member") });

  const stream = member.stream();
  await stream.open({ replayLimit: 5 });
  const behind = await stream.next("behind");
  expect(behind.left).toMatchObject([
    { groupId: "gone-removed", change: MembershipChange.REMOVED, members: [{ userId: "gone-member" }] },
  ]);
  expect(behind.left[0]?.seq).toBe(behind.lastSeqs["g:gone-removed"]);
  expect(behind.disbanded).toMatchObject([{ groupId: "gone-disbanded", disbandTime: {} }]);
  expect(behind.firstSeqs).toEqual({ "g:gone-removed": 3n, "g:gone-disbanded": 3n, "g:gone-back": 3n });
  await stream.next("caughtUp");
  stream.cancel();
});

test("exactly replay_limit missed events are replayed, and one more is too many", async () => {
  const [alice, bob] = await Promise.all([server.login("edge-alice"), server.login("edge-bob")]);
  await placeDevice(bob);
  await say(alice, "edge-bob", 20);
  const atLimit = bob.stream();
  await atLimit.open({ replayLimit: 20 });
  await atLimit.next("caughtUp");
  expect(atLimit.texts()).toEqual(bodies(20));
  atLimit.cancel();
  for (const replayLimit of [19, 0]) {
    const above = bob.stream();
    await above.open({ replayLimit });
    await above.next("behind");
    await above.next("caughtUp");
    expect(above.texts()).toEqual([]);
    above.cancel();
  }
});

test("the first device of a user starts with what is unread", async () => {
  const [alice, bob] = await Promise.all([server.login("unread-alice"), server.login("unread-bob")]);
  await say(alice, "unread-bob", 5);
  await bob.conversations.markRead({ conversationId: "d:unread-alice:unread-bob", upToSeq: 3n });
  const stream = bob.stream();
  expect((await stream.open()).resumed).toBe(false);
  await stream.next("caughtUp");
  expect(stream.texts()).toEqual(["4", "5"]);
  stream.cancel();

  await bob.conversations.markRead({ conversationId: "d:unread-alice:unread-bob", upToSeq: 5n });
  const tablet = await server.login("unread-bob", "tablet");
  const other = tablet.stream();
  await other.open();
  await other.next("caughtUp");
  expect(other.texts()).toEqual([]);
  other.cancel();
});

test("with auto_ack a device goes on after what it was handed", async () => {
  const [alice, bob] = await Promise.all([server.login("auto-alice"), server.login("auto-bob")]);
  const first = bob.stream();
  await first.open({ autoAck: true });
  await say(alice, "auto-bob", 5);
  await first.until(() => first.texts().length === 5);
  first.cancel();
  await say(alice, "auto-bob", 2, 6);
  const second = bob.stream();
  expect((await second.open()).cursor?.position).toBe(BigInt(positionsOf(first).at(-1) as number));
  await second.next("caughtUp");
  expect(second.texts()).toEqual(["6", "7"]);
  second.cancel();
});

test("without an acknowledgement everything comes again", async () => {
  const [alice, bob] = await Promise.all([server.login("again-alice"), server.login("again-bob")]);
  await placeDevice(bob);
  await say(alice, "again-bob", 3);
  for (let round = 0; round < 3; round++) {
    const stream = bob.stream();
    await stream.open();
    await stream.next("caughtUp");
    expect(stream.texts()).toEqual(["1", "2", "3"]);
    stream.cancel();
  }
});

test("all devices of both users get everything, the sender's other devices and the sending session too", async () => {
  const users = await Promise.all([
    server.login("dev-alice", "phone"),
    server.login("dev-alice", "laptop"),
    server.login("dev-bob", "phone"),
    server.login("dev-bob", "laptop"),
  ]);
  const streams = users.map((user) => user.stream());
  await Promise.all(streams.map((stream) => stream.open()));
  const [sender] = streams as [TestStream];
  sender.send(direct("dev-bob", "over the stream"), "one");
  const sent = await sender.next("sent");
  await users[0]?.chat.sendDirect({ recipientId: "dev-bob", content: text("by the unary call") });
  for (const stream of streams) {
    await stream.until(() => stream.texts().length === 2);
    expect(stream.texts()).toEqual(["over the stream", "by the unary call"]);
    expect(stream.all("message")[0]?.messageId).toBe(sent.messageId);
    expect(stream.all("sent")).toHaveLength(stream === sender ? 1 : 0);
  }

  // Each device has a cursor of its own.
  const cursor = streams[2]?.events.findLast(({ event }) => event.case === "message")?.cursor;
  streams[2]?.send({ case: "ack", value: { cursor: cursor as NonNullable<typeof cursor> } }, "ack");
  await streams[2]?.next("done");
  for (const stream of streams) stream.cancel();
  for (const [i, expected] of [
    [2, 0],
    [3, 2],
  ] as const) {
    const again = users[i]?.stream() as TestStream;
    await again.open();
    await again.next("caughtUp");
    expect(again.texts()).toHaveLength(expected);
    again.cancel();
  }
});

test("a device that opens a second stream ends the first with REPLACED and misses nothing", async () => {
  const [alice, bob] = await Promise.all([server.login("two-alice"), server.login("two-bob")]);
  const first = bob.stream();
  const { cursor } = await first.open();
  await say(alice, "two-bob", 1);
  await first.next("message");
  const second = bob.stream();
  await second.open({ resumeFrom: cursor });
  expect((await first.next("closed")).reason).toBe(1);
  expect(await first.ended).toMatchObject({ code: 10 });
  await say(alice, "two-bob", 1, 2);
  await second.until(() => second.texts().length === 2);
  expect(second.texts()).toEqual(["1", "2"]);
  expect(first.texts()).toEqual(["1"]);
  second.cancel();
});

test("a session gets only the kinds of events it chose, and every reply", async () => {
  const [alice, bob] = await Promise.all([server.login("kind-alice"), server.login("kind-bob")]);
  const everything = bob.stream();
  const { cursor } = await everything.open();
  const onlyMembers = (await server.login("kind-bob", "second")).stream();
  await onlyMembers.open({ eventKinds: [EventKind.MEMBERSHIP] });
  await alice.groups.createGroup({ groupId: "kind-group", memberIds: ["kind-bob"] });
  await alice.chat.sendGroup({ groupId: "kind-group", content: text("hello") });
  await alice.groups.updateGroup({
    group: { groupId: "kind-group", name: "New name" },
    updateMask: { paths: ["name"] },
  });
  await alice.groups.removeMembers({ groupId: "kind-group", userIds: ["kind-bob"] });
  const isRemoval = ({ change }: { change: number }) => change === 4;
  await everything.next("membershipChanged", isRemoval);
  await onlyMembers.next("membershipChanged", isRemoval);
  onlyMembers.send(direct("kind-alice", "a reply comes"), "reply");
  await onlyMembers.next("sent");
  onlyMembers.send({ case: "ping", value: {} }, "pong");
  await onlyMembers.next("pong");
  expect(onlyMembers.events.map(({ event }) => event.case)).toEqual([
    "opened",
    "caughtUp",
    "membershipChanged",
    "membershipChanged",
    "sent",
    "pong",
  ]);
  const cases = () =>
    everything.events.filter(({ cursor: c }) => c !== undefined).map(({ event }) => event.case);
  await everything.until(() => everything.texts().includes("a reply comes"));
  expect(cases()).toEqual(expect.arrayContaining(["membershipChanged", "message", "groupChanged"]));

  // What is replayed is chosen in the same way.
  const replayed = (await server.login("kind-bob", "third")).stream();
  await replayed.open({ resumeFrom: cursor, eventKinds: [EventKind.GROUP, EventKind.MESSAGE] });
  await replayed.next("caughtUp");
  expect(new Set(replayed.events.map(({ event }) => event.case))).toEqual(
    new Set(["opened", "groupChanged", "message", "caughtUp"]),
  );
  for (const stream of [everything, onlyMembers, replayed]) stream.cancel();
});

test("a live stream gets the same events of a new group as one that comes later", async () => {
  const [alice, bob] = await Promise.all([server.login("same-alice"), server.login("same-bob")]);
  const live = bob.stream();
  const { cursor } = await live.open();
  await live.next("caughtUp");
  await alice.groups.createGroup({ groupId: "same-group", memberIds: ["same-bob"] });
  await alice.chat.sendGroup({ groupId: "same-group", content: text("first") });
  await live.next("message");
  const later = (await server.login("same-bob", "later")).stream();
  await later.open({ resumeFrom: cursor });
  await later.next("message");
  expect(positionsOf(live)).toEqual(positionsOf(later));
  live.cancel();
  later.cancel();
});

/** What a random reader does between two streams. */
interface Cut {
  /** After how many events it happens. */
  afterEvents: number;
  /** How the stream ends: the network breaks, or the client cancels. */
  how: "cable" | "cancel";
  /** How many of the events received are acknowledged before, as a fraction; undefined: none. */
  ack: number | undefined;
  /** Whether the client waits for the answer to its acknowledgement. */
  confirmed: boolean;
}

const cuts: fc.Arbitrary<Cut[]> = fc.array(
  fc.record({
    afterEvents: fc.nat(60),
    how: fc.constantFrom("cable" as const, "cancel" as const),
    ack: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
    confirmed: fc.boolean(),
  }),
  { minLength: 3, maxLength: 10 },
);

test("whenever connections are cut, each stream goes on after what was acknowledged, without a gap or a repeat", async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(cuts, async (cuts) => {
      const name = `storm-${run++}`;
      const groupId = `${name}-group`;
      const senders = await Promise.all([1, 2, 3].map((n) => server.login(`${name}-sender-${n}`)));
      const reader = await server.login(`${name}-reader`);
      await senders[0]?.groups.createGroup({
        groupId,
        memberIds: [reader.userId, ...senders.map(({ userId }) => userId)],
      });
      await placeDevice(reader);
      const cable = await layCable(server.address);

      // The storm: three senders, each to the group and to the reader in turn.
      const streams = senders.map((sender) => sender.stream());
      await Promise.all(streams.map((stream) => stream.open({ eventKinds: [EventKind.TYPING] })));
      const storm = Promise.all(
        streams.map((stream, n) =>
          sendAll(
            stream,
            bodies(150).map((body, i) =>
              i % 2 ? direct(reader.userId, `${n} ${body}`) : group(groupId, `${n} ${body}`),
            ),
          ),
        ),
      );

      const received: { after: number; positions: number[] }[] = [];
      const acks = { sent: [0], confirmed: 0 };
      async function openNext(): Promise<{ stream: TestStream; close: () => void }> {
        const connection = connect(cable.address, reader.token);
        const stream = connection.stream();
        const { cursor } = await stream.open();
        const after = Number(cursor?.position);
        if (received.length === 0) acks.sent.push(after);
        expect(acks.sent).toContain(after);
        expect(after).toBeGreaterThanOrEqual(acks.confirmed);
        acks.confirmed = after;
        return { stream, close: connection.close };
      }
      async function readUntil(cut: Cut): Promise<void> {
        const { stream, close } = await openNext();
        const after = acks.confirmed;
        let stormOver = false;
        void storm.then(() => {
          stormOver = true;
        });
        await eventually(
          () =>
            positionsOf(stream).length >= cut.afterEvents || (stormOver && stream.all("caughtUp").length > 0),
        );
        const positions = positionsOf(stream);
        const acked =
          cut.ack === undefined ? undefined : positions[Math.floor(cut.ack * (positions.length - 1))];
        if (acked !== undefined) {
          const { cursor } = stream.events.find(({ cursor }) => cursor?.position === BigInt(acked)) ?? {};
          acks.sent.push(acked);
          stream.send({ case: "ack", value: { cursor } as never }, "ack");
          if (cut.confirmed) {
            await stream.next("done");
            acks.confirmed = acked;
          }
        }
        if (cut.how === "cable") cable.cut();
        else stream.cancel();
        await stream.ended;
        received.push({ after, positions: positionsOf(stream) });
        close();
      }

      try {
        for (const cut of cuts) await readUntil(cut);
        await storm;
        const last = await openNext();
        const after = acks.confirmed;
        await last.stream.next("caughtUp");
        received.push({ after, positions: positionsOf(last.stream) });
        last.stream.cancel();
        last.close();

        // The log, as the senders' answers and the history tell it.
        const results = streams.flatMap((stream) => stream.all("sent"));
        const log = results.map(({ position }) => Number(position)).sort((a, b) => a - b);
        expect(log).toHaveLength(450);
        for (const { after, positions } of received) {
          const expected = log.filter((position) => position > after);
          expect(positions).toEqual(expected.slice(0, positions.length));
        }
        const final = received.at(-1);
        expect(final?.positions).toEqual(log.filter((position) => position > (final?.after as number)));

        const idOf = new Map(results.map(({ position, messageId }) => [Number(position), messageId]));
        const listed = await Promise.all([
          listAll(reader, { case: "groupId", value: groupId }),
          ...senders.map(({ userId }) => listAll(reader, { case: "recipientId", value: userId })),
        ]);
        expect(new Set(listed.flat().map(({ messageId }) => messageId))).toEqual(new Set(idOf.values()));
      } finally {
        await storm.catch(() => {});
        for (const stream of streams) stream.cancel();
        await cable.close();
      }
    }),
    { seed: seed(), numRuns: 15, endOnFailure: true },
  );
});
