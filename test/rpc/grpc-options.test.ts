import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import { createChannel, createClient, createServer, Status } from "nice-grpc";
import { expect, onTestFinished, test } from "vitest";
import { ChatService } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { type GrpcServerSettings, grpcServerOptions } from "../../src/rpc/grpc/grpc-options.ts";
import { toDefinition } from "../../wire/definition.ts";

const { sendDirect, stream } = toDefinition(ChatService);
const definition = { sendDirect, stream };

async function start(settings?: GrpcServerSettings) {
  const server = createServer(grpcServerOptions(settings));
  server.add(definition, {
    sendDirect: async () => ({}),
    async *stream(requests) {
      for await (const _ of requests) yield { events: [{}] };
    },
  });
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(() => server.forceShutdown());
  return port;
}

function connectRaw(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  return session;
}

test("a request of 128 KiB is taken, a larger one refused", async () => {
  const port = await start();
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => channel.close());
  const client = createClient(definition, channel);
  await expect(client.sendDirect({ recipientId: "x".repeat(131_068) })).resolves.toBeDefined();
  await expect(client.sendDirect({ recipientId: "x".repeat(131_069) })).rejects.toMatchObject({
    code: Status.RESOURCE_EXHAUSTED,
  });
});

test("a connection may have 100 calls at a time", async () => {
  const session = connectRaw(await start());
  const [settings] = await once(session, "remoteSettings");
  expect(settings.maxConcurrentStreams).toBe(100);
});

test("a connection that answers no ping is closed", async () => {
  const port = await start({ keepaliveTimeMs: 50, keepaliveTimeoutMs: 50 });
  const socket = connectTcp(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {});
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])); // empty SETTINGS
  socket.resume();
  await once(socket, "close");
});

test("a connection without calls is closed in the end", async () => {
  const session = connectRaw(await start({ maxConnectionIdleMs: 50 }));
  const [code] = await once(session, "goaway");
  expect(code).toBe(0);
});

test("an old connection is asked to go, and its calls are cut after the grace", async () => {
  const session = connectRaw(await start({ maxConnectionAgeMs: 100, maxConnectionAgeGraceMs: 50 }));
  const call = session.request({
    ":method": "POST",
    ":path": stream.path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  call.on("error", () => {});
  const closed = once(call, "close");
  await once(session, "goaway");
  await closed;
});
