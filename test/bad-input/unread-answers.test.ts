/** B48: A peer that asks for pages and reads none of them. */

import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ListMessagesRequestSchema } from "../../gen/parlance/chat/v1/message_service_pb.js";
import { readErrorDetails, statusDetailsKey } from "../../wire/error-details.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";
import { FramePeer, FrameType, frame, headerBlock } from "./raw-http2.ts";

const path = "/parlance.chat.v1.MessageService/ListMessages";
const maxUnreadBytes = 1_048_576;
const page = { target: { case: "recipientId" as const, value: "bob" } };
const sent = 20;
const messageBytes = 16_000;

let server: TestServer;
let alice: UserClients;
let bob: UserClients;

beforeAll(async () => {
  server = await startTestServer({ maxUnreadBytes });
  alice = await server.login("alice");
  bob = await server.login("bob");
  for (let i = 0; i < sent; i++) {
    await bob.chat.sendDirect({
      recipientId: "alice",
      content: text("x".repeat(messageBytes)),
    });
  }
});
afterAll(() => server.close());

/** Reads a page as a client that reads, and returns why it was refused, if it was. */
async function refusalOf({ messages, userId }: UserClients): Promise<string | undefined> {
  let reason: string | undefined;
  await messages
    .listMessages(
      { target: { case: "recipientId", value: userId === "bob" ? "alice" : "bob" } },
      {
        onTrailer: (trailer) => {
          const details = trailer.get(statusDetailsKey);
          if (details instanceof Uint8Array) reason = readErrorDetails(details).reasonName;
        },
      },
    )
    .catch((error: unknown) => {
      if (reason === undefined) throw error;
    });
  return reason;
}

describe.each(["gRPC", "HTTP"])("B48: on the %s port", (port) => {
  test("is refused more before anything is read, others are served, and nothing of it stays", async () => {
    const { address, httpAddress = "" } = server.server;
    const peer = await FramePeer.connect(port === "gRPC" ? address : httpAddress);
    onTestFinished(() => peer.destroy());
    // SETTINGS_INITIAL_WINDOW_SIZE of 0: no answer's message may leave.
    peer.send(FrameType.SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]));
    const block = headerBlock(path, [["authorization", `Bearer ${alice.token}`]]);
    const request = frame(toBinary(ListMessagesRequestSchema, create(ListMessagesRequestSchema, page)));
    const asked = 12;
    for (let i = 0; i < asked; i++) {
      peer.send(FrameType.HEADERS, 4, 2 * i + 1, block);
      peer.send(FrameType.DATA, 1, 2 * i + 1, request);
    }
    await eventually(async () => (await refusalOf(alice)) === "UNREAD_ANSWERS");
    expect(await refusalOf(bob)).toBeUndefined();
    expect(peer.framesOf(FrameType.DATA)).toEqual([]);
    peer.destroy();
    await eventually(async () => (await refusalOf(alice)) === undefined);
    await eventually(() => server.server.stats().calls === 0);
  });
});
