import { connect as dial, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { ErrorReason } from "../../src/errors.ts";
import { failureOf } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

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
