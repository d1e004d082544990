/** gRPC-Web as text, spoken by hand: frames in base64, both ways. */

import { request as httpRequest, type IncomingMessage } from "node:http";
import { create, type DescMethod, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import {
  ChatService,
  ListenResponseSchema,
  LoginResponseSchema,
  SendDirectResponseSchema,
} from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

function frameOf<Method extends DescMethod>(method: Method, init: MessageInitShape<Method["input"]>): Buffer {
  const message = toBinary(method.input, create(method.input, init));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** What has arrived of an answer: messages, and the trailers once they are there. */
interface Answer {
  response: IncomingMessage;
  messages: Buffer[];
  trailers: string | undefined;
  ended: boolean;
}

/** Sends pieces of text one after the other, and reads what is answered as a client of gRPC-Web does. */
async function call(
  method: DescMethod,
  pieces: readonly string[],
  { token, type = "application/grpc-web-text+proto" }: { token?: string; type?: string } = {},
): Promise<Answer> {
  const headers = {
    "content-type": type,
    "x-grpc-web": "1",
    ...(token && { authorization: `Bearer ${token}` }),
  };
  const path = `/${method.parent.typeName}/${method.name}`;
  const request = httpRequest(`http://${server.server.httpAddress}`, {
    method: "POST",
    path,
    headers,
    agent: false,
  });
  onTestFinished(() => void request.destroy());
  const answered = new Promise<IncomingMessage>((resolve, reject) =>
    request.on("response", resolve).on("error", reject),
  );
  for (const piece of pieces) await new Promise<void>((resolve) => request.write(piece, () => resolve()));
  request.end();
  const response = await answered;
  const answer: Answer = { response, messages: [], trailers: undefined, ended: false };
  let encoded = "";
  let bytes = Buffer.alloc(0);
  response.setEncoding("latin1").on("data", (chunk: string) => {
    encoded += chunk;
    const whole = encoded.length - (encoded.length % 4);
    const quads = encoded.slice(0, whole).match(/.{4}/g) ?? [];
    bytes = Buffer.concat([bytes, ...quads.map((quad) => Buffer.from(quad, "base64"))]);
    encoded = encoded.slice(whole);
    while (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) {
      const end = 5 + bytes.readUInt32BE(1);
      const payload = bytes.subarray(5, end);
      if (bytes[0] === 0x80) answer.trailers = payload.toString("latin1");
      else answer.messages.push(payload);
      bytes = bytes.subarray(end);
    }
  });
  response
    .on("error", () => {})
    .on("end", () => {
      answer.ended = encoded === "" && bytes.length === 0;
    });
  return answer;
}

async function whole(...args: Parameters<typeof call>): Promise<Answer> {
  const answer = await call(...args);
  await eventually(() => answer.ended);
  return answer;
}

const login = frameOf(ChatService.method.login, {
  credential: { case: "devUserId", value: "ann" },
  device: { deviceId: "page" },
});

test.each(["application/grpc-web-text", "application/grpc-web-text+proto"])(
  "a call as %s is answered as text",
  async (type) => {
    const { response, messages, trailers } = await whole(
      ChatService.method.login,
      [login.toString("base64")],
      { type },
    );
    expect(response).toMatchObject({
      statusCode: 200,
      headers: { "content-type": type.replace(/text$/, "text+proto") },
    });
    expect(messages.map((message) => fromBinary(LoginResponseSchema, message))).toMatchObject([
      { userId: "ann" },
    ]);
    expect(trailers).toMatch(/^grpc-status: ?0\r\n/m);
  },
);

test.each([
  ["letter by letter", [...login.toString("base64")]],
  [
    "in two encodings, each with its own padding",
    [login.subarray(0, 4), login.subarray(4, 5), login.subarray(5)].map((part) => part.toString("base64")),
  ],
  ["in lines", [login.toString("base64").replace(/.{20}/g, "$&\r\n")]],
])("a request that arrives %s is one request", async (_, pieces) => {
  const { messages } = await whole(ChatService.method.login, pieces);
  expect(messages).toHaveLength(1);
});

test.each([
  ["other characters", "AAAA!AAA"],
  ["half a quad", "AAAAAA"],
  ["padding in front", "=AAA"],
])("a body that is no base64 (%s) is refused in words, in the trailers", async (_, body) => {
  const { messages, trailers } = await whole(ChatService.method.login, [body]);
  expect(messages).toEqual([]);
  expect(trailers).toMatch(/^grpc-status: ?3\r\n/m);
  expect(decodeURIComponent(trailers ?? "")).toContain("not base64");
});

test("an event is there as soon as it is sent, and the end of a stream says why, as text", async () => {
  const { token } = await server.login("bob");
  const other = await server.login("bob", "other");
  const listen = frameOf(ChatService.method.listen, { open: { autoAck: true } });
  const stream = await call(ChatService.method.listen, [listen.toString("base64")], { token });
  const events = () => stream.messages.flatMap((message) => fromBinary(ListenResponseSchema, message).events);
  await eventually(() => events().some(({ event }) => event.case === "opened"));

  const { token: annsToken } = await server.login("ann");
  for (const length of [1, 2, 3, 4]) {
    const send = frameOf(ChatService.method.sendDirect, {
      recipientId: "bob",
      content: text("x".repeat(length)),
    });
    const sent = await whole(ChatService.method.sendDirect, [send.toString("base64")], { token: annsToken });
    expect(sent.messages.map((message) => fromBinary(SendDirectResponseSchema, message))).toMatchObject([
      { result: { seq: BigInt(length) } },
    ]);
    await eventually(() =>
      events().some(({ event }) => event.case === "message" && event.value.seq === BigInt(length)),
    );
  }
  await other.chat.logout({ allDevices: true });
  await eventually(() => stream.ended);
  expect(stream.trailers).toMatch(/^grpc-status: ?16\r\n/m);
});
