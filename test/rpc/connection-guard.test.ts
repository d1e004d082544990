import { once } from "node:events";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { ServerCredentials } from "@grpc/grpc-js";
import { createChannel, createClient, createServer } from "nice-grpc";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ChatService } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { guardConnections } from "../../src/net/connection-guard.ts";
import { preparingServers } from "../../src/net/http2-servers.ts";
import { startKeepalive } from "../../src/net/keepalive.ts";
import { toDefinition } from "../../wire/definition.ts";
import { type Certificate, makeCertificate } from "../support/certificate.ts";
import { eventually } from "../support/eventually.ts";

const { listen } = toDefinition(ChatService);
const definition = { listen };

/** Starts a server whose one method sends 1,500 small messages, none together with the next. */
async function start({ maxConnections = 100, certificate = undefined as Certificate | undefined } = {}) {
  const server = createServer();
  server.add(definition, {
    async *listen() {
      for (let i = 0; i < 1_500; i++) {
        yield { events: [{ requestId: "a small event of sixty bytes, such as that somebody is typing" }] };
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  });
  const credentials = certificate
    ? ServerCredentials.createSsl(null, [{ cert_chain: certificate.cert, private_key: certificate.key }])
    : ServerCredentials.createInsecure();
  const keepalive = startKeepalive({
    keepaliveTimeMs: 60_000,
    keepaliveIdleTimeMs: 60_000,
    keepaliveTimeoutMs: 60_000,
  });
  const port = await preparingServers(
    (http2Server) =>
      guardConnections(http2Server, maxConnections, keepalive, { info() {}, warn() {}, error() {} }),
    () => server.listen("localhost:0", credentials),
  );
  onTestFinished(() => {
    keepalive.stop();
    server.forceShutdown();
  });
  return port;
}

describe.each(["clear text", "TLS"])("a connection in %s", (kind) => {
  let certificate: Certificate | undefined;
  beforeAll(() => {
    if (kind === "TLS") certificate = makeCertificate();
  });
  afterAll(() => certificate?.remove());

  async function open(): Promise<ClientHttp2Session> {
    const port = await start({ certificate });
    const session = certificate
      ? connect(`https://localhost:${port}`, { ca: certificate.cert, maxOutstandingPings: 10_000 })
      : connect(`http://localhost:${port}`, { maxOutstandingPings: 10_000 });
    session.on("error", () => {});
    onTestFinished(() => session.destroy());
    await once(session, "remoteSettings");
    return session;
  }

  test("B19: that sends 500 pings for nothing is told so and closed", async () => {
    const session = await open();
    const farewell = once(session, "goaway");
    // No more: what a closed connection still gets makes the peer forget what it was told.
    for (let i = 0; i < 500; i++) session.ping(() => {});
    const [code, , text] = await farewell;
    expect(code).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(Buffer.from(text).toString()).toBe("too_many_pings");
    await eventually(() => session.destroyed);
  });

  test("that sends a ping for each piece of data it gets is kept, as clients do that measure bandwidth", async () => {
    const session = await open();
    const call = session.request({
      ":method": "POST",
      ":path": listen.path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    let pongs = 0;
    let waiting = false;
    call.on("data", () => {
      if (waiting) return;
      waiting = true;
      session.ping((error) => {
        waiting = false;
        if (error === null) pongs++;
      });
    });
    const trailers = once(call, "trailers");
    call.end(Buffer.alloc(5));
    expect((await trailers)[0]).toMatchObject({ "grpc-status": "0" });
    expect(pongs).toBeGreaterThan(600);
    expect(session.destroyed).toBe(false);
  });
});

test("of 10 connections 3 are served where 3 may be, and another when one has gone", async () => {
  const port = await start({ maxConnections: 3 });
  const open = new Set<Socket>();
  const refused: Socket[] = [];
  async function dial(): Promise<void> {
    const socket = connectTcp(port, "127.0.0.1").on("error", () => {});
    onTestFinished(() => void socket.destroy());
    // The server's SETTINGS come first, or nothing.
    const served = await Promise.race([
      once(socket, "data").then(() => true),
      once(socket, "close").then(() => false),
    ]);
    if (served) open.add(socket);
    else refused.push(socket);
  }
  for (let i = 0; i < 10; i++) await dial();
  expect([open.size, refused.length]).toEqual([3, 7]);
  const [first] = open;
  first?.destroy();
  await eventually(async () => {
    await dial();
    return open.size === 4;
  });
});

test("other servers of the process are left alone", async () => {
  const bare = createServer();
  bare.add(definition, { async *listen() {} });
  let seen = 0;
  const [port] = await Promise.all([
    bare.listen("127.0.0.1:0"),
    preparingServers(
      () => seen++,
      async () => {
        const server = createServer();
        server.add(definition, { async *listen() {} });
        onTestFinished(() => server.forceShutdown());
        return server.listen("127.0.0.1:0");
      },
    ),
  ]);
  onTestFinished(() => bare.forceShutdown());
  expect(seen).toBe(1);
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => channel.close());
  for await (const _ of createClient(definition, channel).listen({})) expect.unreachable();
});
