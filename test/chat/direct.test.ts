import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer, text } from "../support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

test("a direct message reaches the recipient's open stream with what the sender's answer says", async () => {
  const [alice, bob] = await Promise.all([server.login("alice"), server.login("bob")]);
  const stream = bob.stream();
  await stream.open();
  const { result } = await alice.chat.sendDirect({
    recipientId: "bob",
    content: text("Hello, 世界 👋"),
    clientMessageId: "first",
    options: { labels: { b: "2", a: "1" }, mentionUserIds: ["bob"], silent: true },
  });
  const message = await stream.next("message");
  expect(message).toMatchObject({
    messageId: result?.messageId,
    conversationId: "d:alice:bob",
    seq: 1n,
    senderId: "alice",
    target: { case: "recipientId", value: "bob" },
    content: { kind: { case: "text", value: { body: "Hello, 世界 👋" } } },
    clientMessageId: "first",
    labels: { a: "1", b: "2" },
    mentionUserIds: ["bob"],
    silent: true,
    acceptTime: result?.acceptTime,
    revision: 0,
  });
  expect(result).toMatchObject({
    conversationId: "d:alice:bob",
    seq: 1n,
    clientMessageId: "first",
    duplicate: false,
  });
  expect(message.messageId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  stream.cancel();
});

test("a repeated send has one effect and gets the first answer", async () => {
  const carol = await server.login("carol");
  const request = { recipientId: "dave", content: text("once"), clientMessageId: "again" };
  const answers = await Promise.all(Array.from({ length: 50 }, () => carol.chat.sendDirect(request)));
  expect(answers.filter(({ result }) => result?.duplicate === false)).toHaveLength(1);
  expect(new Set(answers.map(({ result }) => result?.messageId)).size).toBe(1);
  const { messages, lastSeq } = await carol.messages.listMessages({
    target: { case: "recipientId", value: "dave" },
  });
  expect(messages).toHaveLength(1);
  expect(lastSeq).toBe(1n);
});
