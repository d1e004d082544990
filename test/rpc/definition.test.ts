import { create, toBinary } from "@bufbuild/protobuf";
import { createChannel, createClient, createServer, Status } from "nice-grpc";
import { expect, onTestFinished, test } from "vitest";
import {
  ChatService,
  type SendDirectRequest,
  SendDirectRequestSchema,
  SendDirectResponseSchema,
  type StreamRequest,
  StreamResponseSchema,
} from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { refuseUndecodable, toDefinition, Undecodable } from "../../wire/definition.ts";

const { sendDirect, stream } = toDefinition(ChatService);
const definition = { sendDirect, stream };

/** A server whose handlers keep what they got, and a client that can also send raw bytes. */
async function start() {
  const requests: Array<SendDirectRequest | StreamRequest> = [];
  const server = createServer();
  server.add(definition, {
    async sendDirect(request) {
      requests.push(request);
      refuseUndecodable(request);
      return { result: { messageId: "m", seq: 7n } };
    },
    async *stream(incoming) {
      for await (const request of incoming) {
        requests.push(request);
        refuseUndecodable(request);
        const one = toBinary(
          StreamResponseSchema,
          create(StreamResponseSchema, { events: [{ requestId: request.requestId }] }),
        );
        yield Buffer.concat([one, one]);
      }
    },
  });
  const port = await server.listen("127.0.0.1:0");
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => {
    channel.close();
    server.forceShutdown();
  });
  const rawDefinition = { sendDirect: { ...sendDirect, requestSerialize: (bytes: Uint8Array) => bytes } };
  return { requests, client: createClient(definition, channel), raw: createClient(rawDefinition, channel) };
}

test("a plain object is sent as the message it describes and the answer comes back as a message", async () => {
  const { client, requests } = await start();
  const response = await client.sendDirect({
    recipientId: "bo",
    content: { kind: { case: "text", value: { body: "hi" } } },
  });
  expect(response).toEqual(create(SendDirectResponseSchema, { result: { messageId: "m", seq: 7n } }));
  expect(requests).toEqual([
    create(SendDirectRequestSchema, {
      recipientId: "bo",
      content: { kind: { case: "text", value: { body: "hi" } } },
    }),
  ]);
});

test("a response that is bytes is sent as it is, so concatenated encodings arrive as one message", async () => {
  const { client } = await start();
  async function* requests() {
    yield { requestId: "1" };
  }
  const requestIds: string[][] = [];
  for await (const { events } of client.stream(requests()))
    requestIds.push(events.map((event) => event.requestId));
  expect(requestIds).toEqual([["1", "1"]]);
});

test("fields that the schema does not know are dropped from requests", async () => {
  const { raw, requests } = await start();
  const unknownField = Uint8Array.of(0xf8, 0x3f, 1); // field 1023, varint 1
  await raw.sendDirect(
    Buffer.concat([
      toBinary(SendDirectRequestSchema, create(SendDirectRequestSchema, { recipientId: "bo" })),
      unknownField,
    ]),
  );
  expect(requests).toMatchObject([{ recipientId: "bo" }]);
  expect(requests[0]?.$unknown).toBeUndefined();
});

test.each([
  ["truncated", [0x0a, 5, 0x61]],
  ["of invalid UTF-8", [0x0a, 1, 0xff]],
  ["of field number 0", [0x00, 1]],
  ["of a varint of 11 bytes", [0x18, ...Array(10).fill(0xff), 1]],
  ["nested too deep", Array.from({ length: 100 }, () => 0x0b)],
])("a request that is %s is the caller's fault, not an internal error", async (_, bytes) => {
  const { raw, requests } = await start();
  await expect(raw.sendDirect(Uint8Array.from(bytes))).rejects.toMatchObject({
    code: Status.INVALID_ARGUMENT,
    details: expect.stringContaining("not a parlance.chat.v1.SendDirectRequest: "),
  });
  expect(requests[0]).toBeInstanceOf(Undecodable);
});

test("a field of bytes is a plain Uint8Array, whose slice is a copy", async () => {
  const { client, requests } = await start();
  const custom = { typeUrl: "type.example.com/Poll", value: Uint8Array.of(1, 2, 3) };
  await client.sendDirect({ recipientId: "bo", content: { kind: { case: "custom", value: custom } } });
  expect(requests).toMatchObject([{ content: { kind: { value: { value: Uint8Array.of(1, 2, 3) } } } }]);
});

test("every method of every service keeps its name, path and direction", () => {
  const all = toDefinition(ChatService);
  expect(Object.keys(all)).toEqual([
    "login",
    "logout",
    "sendDirect",
    "sendGroup",
    "stream",
    "listen",
    "ack",
    "setTyping",
  ]);
  expect(all.listen).toMatchObject({
    path: "/parlance.chat.v1.ChatService/Listen",
    requestStream: false,
    responseStream: true,
  });
  expect(all.stream).toMatchObject({ requestStream: true, responseStream: true });
  expect(all.login).toMatchObject({ requestStream: false, responseStream: false, options: {} });
});
