import { connect as dial, type Socket } from "node:net";
import type { CallOptions } from "nice-grpc";
import { afterEach, expect, test } from "vitest";
import { JoinPolicy } from "../../gen/parlance/chat/v1/group_pb.js";
import { ErrorReason } from "../../src/model/errors.ts";
import { failureIn, failureOf } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(overrides: Parameters<typeof startTestServer>[0]): Promise<TestServer> {
  const server = await startTestServer(overrides);
  closers.push(() => server.close());
  return server;
}

/** Opens connections, to the ports in turn, and keeps note of which are open. */
function openConnections(ports: readonly number[], count: number) {
  const sockets = new Set<Socket>();
  let settled = 0;
  for (let n = 0; n < count; n++) {
    const socket = dial(ports[n % ports.length] as number, "127.0.0.1");
    // A server's SETTINGS, or an answer, show that it took the connection.
    if (n % ports.length === 0)
      socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1");
    else socket.write("GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    socket.on("error", () => {});
    socket.once("data", () => {
      sockets.add(socket);
      settled++;
    });
    socket.once("close", () => {
      if (!sockets.delete(socket)) settled++;
    });
    closers.push(() => socket.destroy());
  }
  return { open: sockets, settled: () => eventually(() => settled === count) };
}

const portsOf = ({ server }: TestServer) => [server.port, Number(server.httpAddress?.split(":")[1])];

test("an address has so many connections at most, on both ports together, and room again when some end", async () => {
  const server = await serve({ exemptAddresses: "none", maxConnectionsPerAddress: 6 });
  const first = openConnections(portsOf(server), 20);
  await first.settled();
  expect(first.open.size).toBe(6);
  expect(server.logs).toContainEqual(
    expect.objectContaining({ msg: "too many connections", limit: "maxConnectionsPerAddress" }),
  );
  for (const socket of [...first.open].slice(0, 3)) socket.destroy();
  await eventually(async () => {
    const more = openConnections(portsOf(server), 6);
    await more.settled();
    const { size } = more.open;
    if (size < 3) for (const socket of more.open) socket.destroy();
    return size === 3;
  });
});

test("all addresses together have so many connections at most, exempt ones too", async () => {
  const server = await serve({ maxConnections: 5, maxConnectionsPerAddress: 1 });
  const { open, settled } = openConnections(portsOf(server), 12);
  await settled();
  expect(open.size).toBe(5);
});

test("a user has so many streams at most, whoever comes first, and others have theirs", async () => {
  const server = await serve({ maxStreamsPerUser: 3 });
  const devices = await Promise.all(["a", "b", "c", "d", "e", "f"].map((id) => server.login("alice", id)));
  const streams = devices.map((device) => device.stream());
  for (const stream of streams) stream.send({ case: "open", value: {} });
  await eventually(() => streams.filter((stream) => stream.all("opened").length === 1).length === 3);
  const refused = streams.filter((stream) => stream.all("opened").length === 0);
  expect(refused).toHaveLength(3);
  for (const stream of refused)
    expect(String(await stream.ended)).toContain("maxStreamsPerUser: at most 3 streams");
  const unlucky = devices[streams.indexOf(refused[0] as (typeof streams)[number])];
  expect(await failureOf((options) => unlucky?.chat.listen({}, options))).toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    reason: ErrorReason.QUOTA_EXCEEDED,
    quota: { subject: "user:alice" },
  });
  // A device that comes back takes the place of its own stream.
  const open = streams.filter((stream) => stream.all("opened").length === 1);
  const returning = devices[streams.indexOf(open[0] as (typeof streams)[number])];
  expect((await returning?.stream().open())?.limits?.maxStreamsPerUser).toBe(3);
  // One that goes makes room.
  open[1]?.cancel();
  await eventually(async () => {
    const stream = unlucky?.stream();
    stream?.send({ case: "open", value: {} });
    return Promise.race([
      stream?.next("opened").then(() => true),
      stream?.ended.then(() => false),
    ]) as Promise<boolean>;
  });
  await (await server.login("bob")).stream().open();
});

test("a user owns and is in so many groups at most, also when many requests come at once", async () => {
  const server = await serve({ maxGroupsPerUser: 4, maxGroupsOwnedPerUser: 3 });
  const [alice, bob, carol] = [
    await server.login("alice"),
    await server.login("bob"),
    await server.login("carol"),
  ];
  const made = await Promise.all(
    Array.from({ length: 12 }, (_, n) =>
      alice.groups.createGroup({ groupId: `a${n}`, joinPolicy: JoinPolicy.OPEN }).then(
        () => [`a${n}`],
        () => [],
      ),
    ),
  );
  const owned = made.flat();
  expect(owned).toHaveLength(3);
  const quota = (userId: string, description: string) => ({
    code: "RESOURCE_EXHAUSTED",
    reason: ErrorReason.QUOTA_EXCEEDED,
    quota: { subject: `user:${userId}`, description },
    retryAfterMs: undefined,
  });
  const tooManyOwned = quota("alice", "maxGroupsOwnedPerUser: at most 3 groups");
  expect(await failureOf((options) => alice.groups.createGroup({}, options))).toMatchObject(tooManyOwned);
  // What was made before is said to be so.
  const again = await failureOf((options) =>
    alice.groups.createGroup({ groupId: owned[0] as string }, options),
  );
  expect(again.reason).toBe(ErrorReason.GROUP_ID_TAKEN);

  await bob.groups.createGroup({ groupId: "b0", memberIds: ["alice", "carol"] });
  const tooMany = quota("alice", "maxGroupsPerUser: at most 4 groups");
  expect(
    await failureOf((options) => bob.groups.createGroup({ memberIds: ["alice"] }, options)),
  ).toMatchObject(tooMany);
  await bob.groups.createGroup({ groupId: "b1", joinPolicy: JoinPolicy.OPEN });
  expect(
    await failureOf((options) =>
      bob.groups.addMembers({ groupId: "b1", userIds: ["dave", "alice"] }, options),
    ),
  ).toMatchObject(tooMany);
  expect(await failureOf((options) => alice.groups.joinGroup({ groupId: "b1" }, options))).toMatchObject(
    tooMany,
  );
  // Who is in it already is no one more, and who may add nobody learns nothing.
  await bob.groups.addMembers({ groupId: "b0", userIds: ["alice"] });
  const stranger = await failureOf((options) =>
    carol.groups.addMembers({ groupId: "b1", userIds: ["alice"] }, options),
  );
  expect(stranger.reason).toBe(ErrorReason.NOT_A_MEMBER);
  expect(
    await failureOf((options) =>
      bob.groups.transferOwnership({ groupId: "b0", newOwnerId: "alice" }, options),
    ),
  ).toMatchObject(tooManyOwned);

  // Room again.
  await alice.groups.disbandGroup({ groupId: owned[0] as string });
  await alice.groups.joinGroup({ groupId: "b1" });
  expect((await alice.stream().open()).limits?.maxGroupsPerUser).toBe(4);
});

test("a user has so many session tokens at most: those made last are good", async () => {
  const server = await serve({ maxSessionsPerUser: 2 });
  const [first, second, third] = [
    await server.login("alice"),
    await server.login("alice"),
    await server.login("alice"),
  ];
  const bob = await server.login("bob");
  // Until then the node has all of them in memory.
  await server.restart();
  const outcome = async ({ token }: { token: string }) => {
    const { groups } = server.as({ authorization: `Bearer ${token}` });
    return groups.listMyGroups({}).then(
      () => "good",
      (error: { details: string }) => error.details,
    );
  };
  expect(await outcome(first)).toContain("unknown");
  expect(await Promise.all([second, third, bob].map(outcome))).toEqual(["good", "good", "good"]);
});

test("a user has so many devices at most: a new one takes the place of the one not used for longest", async () => {
  const server = await serve({ maxDevicesPerUser: 2 });
  const read = async (deviceId: string, opened: (resumed: boolean) => void) => {
    const device = await server.login("alice", deviceId);
    const stream = device.stream();
    opened((await stream.open({ autoAck: true })).resumed);
    const before = stream.all("message").length;
    await bob.chat.sendDirect({ recipientId: "alice", content: text(deviceId) });
    await stream.until(() => stream.all("message").length > before);
    stream.halfClose();
    await stream.ended;
  };
  const bob = await server.login("bob");
  const resumed: boolean[] = [];
  for (const devices of [["old", "phone", "phone"], ["laptop"], ["phone", "laptop", "old"]]) {
    for (const device of devices) await read(device, (was) => resumed.push(was));
    // Cursors are written within a second, and before a server ends.
    await server.restart();
  }
  expect(resumed).toEqual([false, false, true, false, true, true, false]);
});

test("a user stores so many bytes at most, also after a restart; what is there is answered again, and others send on", async () => {
  const server = await serve({ maxStoredBytesPerUser: 5_000 });
  const send = async (user: UserClients, clientMessageId: string, options?: CallOptions) => {
    const content = text(clientMessageId.padEnd(1_000, "."));
    return user.chat.sendDirect({ recipientId: "zoe", content, clientMessageId }, options);
  };
  const alice = await server.login("alice");
  const first = await send(alice, "0");
  // Repeats take nothing.
  for (let n = 0; n < 10; n++) expect((await send(alice, "0")).result?.duplicate).toBe(true);
  for (let n = 1; n < 5; n++) await send(alice, `${n}`);
  const refused = {
    code: "RESOURCE_EXHAUSTED",
    reason: ErrorReason.QUOTA_EXCEEDED,
    quota: { subject: "user:alice", description: "maxStoredBytesPerUser: at most 5000 bytes of messages" },
  };
  expect(await failureOf((options) => send(alice, "5", options))).toMatchObject(refused);
  await alice.groups.createGroup({ groupId: "g" });
  expect(
    await failureOf((options) => alice.chat.sendGroup({ groupId: "g", content: text("5") }, options)),
  ).toMatchObject(refused);
  expect((await send(alice, "0")).result).toMatchObject({ ...first.result, duplicate: true });

  const stream = alice.stream();
  await stream.open();
  const request = (clientMessageId: string, body = clientMessageId) => ({
    case: "sendDirect" as const,
    value: { recipientId: "zoe", content: text(body.padEnd(1_000, ".")), clientMessageId },
  });
  stream.send(request("6"), "new").send(request("1"), "again").send(request("2", "other"), "other");
  stream.send({ case: "sendGroup", value: { groupId: "g", content: text("6") } }, "group");
  await stream.until(() => stream.all("refusal").length === 3 && stream.all("sent").length === 1);
  for (const refusal of stream.all("refusal")) expect(failureIn(refusal)).toMatchObject(refused);
  expect(stream.all("sent")).toMatchObject([{ clientMessageId: "1", seq: 2n, duplicate: true }]);

  const bob = await server.login("bob");
  await send(bob, "0");
  const stored = async () =>
    (await alice.messages.listMessages({ target: { case: "recipientId", value: "zoe" } })).messages.length;
  expect(await stored()).toBe(5);

  // A node that has just started asks the store within a second.
  await server.restart();
  await send(bob, "1");
  let tries = 0;
  await eventually(() =>
    send(alice, `after ${tries++}`).then(
      () => false,
      () => true,
    ),
  );
  expect(await failureOf((options) => send(alice, "last", options))).toMatchObject(refused);
  expect(await stored()).toBe(5 + tries - 1);
  expect((await send(alice, "0")).result).toMatchObject({ ...first.result, duplicate: true });
  await send(bob, "2");
  await server.restart({ maxStoredBytesPerUser: 0 });
  for (let n = 5; n < 15; n++) await send(alice, `${n}`);
});
