/** What a store may hold that today's server would not take in: it must not break a reader. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ChatMessageSchema } from "../../gen/parlance/chat/v1/message_pb.js";
import { JoinPolicy } from "../../src/model/records.ts";
import { createSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { groupChanges } from "../support/group-changes.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

const conversationId = "d:ada:ben";
const typeUrls = ["", "acme/", "/", "type.googleapis.com/google.protobuf.Struct"];

let dataDir: string;
let server: TestServer;
let token: string;
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "parlance-before-"));
  const store = await createSqliteStore({ path: join(dataDir, "parlance.db") });
  for (const typeUrl of typeUrls) {
    const value = create(AnySchema, { typeUrl, value: Uint8Array.of(0xff) });
    const body = toBinary(
      ChatMessageSchema,
      create(ChatMessageSchema, {
        conversationId,
        senderId: "ada",
        target: { case: "recipientId", value: "ben" },
        content: { kind: { case: "custom", value } },
      }),
    );
    await store.append({ conversationId, senderId: "ada", recipientId: "ben", clientMessageId: "", body });
  }
  const settings = {
    name: "",
    joinPolicy: JoinPolicy.OPEN,
    historyForNewMembers: true,
    muted: false,
    memberLimit: 10,
    attributes: {},
  };
  await groupChanges(store).createGroup("g", "ada", settings, ["ben"]);
  // The year 287,396.
  await groupChanges(store).updateMember("g", "ada", "ben", { mutedUntilMs: Number.MAX_SAFE_INTEGER });
  await store.close();
  server = await startTestServer({ dataDir });
  ({ token } = await server.login("ben"));
});
afterAll(async () => {
  await server.close();
  rmSync(dataDir, { recursive: true, force: true });
});

function post(path: string, request: object) {
  return fetch(`http://${server.server.httpAddress}/parlance.chat.v1.${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(request),
  });
}

test("a page in JSON shows content of a type without a name", async () => {
  const page = (await (await post("MessageService/ListMessages", { recipientId: "ada" })).json()) as {
    messages: { content: { custom: unknown } }[];
  };
  expect(page.messages.map(({ content }) => content.custom)).toEqual(
    typeUrls.map((typeUrl) => ({ "@type": typeUrl, value: "/w==" })),
  );
});

test("a list of conversations in JSON shows such content", async () => {
  const answer = await post("ConversationService/ListConversations", {});
  expect([answer.status, await answer.json()]).toMatchObject([200, { conversations: [{}, {}] }]);
});

test("times that JSON cannot tell are the last that it can", async () => {
  const answer = await post("GroupService/ListMembers", { groupId: "g" });
  const { members } = (await answer.json()) as { members: { mutedUntilTime?: string }[] };
  expect(members[1]?.mutedUntilTime).toBe("9999-12-31T23:59:59Z");
});

test("`Listen` in JSON lines goes on past all of it", async () => {
  const { body } = await post("ChatService/Listen", { open: { autoAck: true } });
  let text = "";
  for await (const chunk of (body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes("caughtUp")) break;
  }
  expect(text.match(/"custom"/g)).toHaveLength(typeUrls.length);
  expect(text).toContain('"mutedUntilTime":"9999-12-31T23:59:59Z"');
});
