import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ListConversationsResponseSchema } from "../../gen/parlance/chat/v1/conversation_service_pb.js";
import {
  AddMembersResponseSchema,
  ListMembersResponseSchema,
  ListMyGroupsResponseSchema,
} from "../../gen/parlance/chat/v1/group_service_pb.js";
import { ListMessagesResponseSchema } from "../../gen/parlance/chat/v1/message_service_pb.js";
import { GetPresenceResponseSchema } from "../../gen/parlance/chat/v1/presence_service_pb.js";
import { describeWithPostgres, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";

const maxBytes = 1_048_576;

/** Reads a list to its end with a stock client, and sees to it that no page is too large. */
async function readAll<Desc extends DescMessage, Item>(
  schema: Desc,
  list: (pageToken: string) => Promise<MessageShape<Desc> & { nextPageToken: string }>,
  itemsOf: (page: MessageShape<Desc>) => Item[],
): Promise<{ items: Item[]; pages: number }> {
  const items: Item[] = [];
  let pageToken = "";
  let pages = 0;
  do {
    const page = await list(pageToken);
    expect(toBinary(schema, page).length).toBeLessThanOrEqual(maxBytes);
    items.push(...itemsOf(page));
    pageToken = page.nextPageToken;
    pages++;
  } while (pageToken !== "");
  return { items, pages };
}

function answersAreBounded(start: () => Promise<TestServer>): void {
  let server: TestServer;
  let ada: UserClients;
  beforeAll(async () => {
    server = await start();
    ada = await server.login("ada");
  });
  afterAll(() => server?.close());

  describe("255 texts of 16 KB", () => {
    const seqs = Array.from({ length: 255 }, (_, n) => BigInt(n + 1));
    const target = { case: "recipientId" as const, value: "ben" };
    const list = (bounds: object) => (pageToken: string) =>
      ada.messages.listMessages({ target, pageSize: 1_000, pageToken, ...bounds });
    beforeAll(async () => {
      const body = "x".repeat(16_384);
      await Promise.all(seqs.map(() => ada.chat.sendDirect({ recipientId: "ben", content: text(body) })));
    });

    test("are read forwards, page by page, each once", async () => {
      const { items, pages } = await readAll(ListMessagesResponseSchema, list({}), ({ messages }) =>
        messages.map(({ seq }) => seq),
      );
      expect(items).toEqual(seqs);
      expect(pages).toBe(5);
    });

    test("are read backwards, page by page, each once and each page in order", async () => {
      const { items } = await readAll(
        ListMessagesResponseSchema,
        list({ beforeSeq: 200n }),
        ({ messages }) => [messages.map(({ seq }) => seq)],
      );
      expect(items.reverse().flat()).toEqual(seqs.slice(0, 199));
    });

    test("around one of them come those nearest to it", async () => {
      const { messages } = await list({ afterSeq: 99n })("");
      const aroundMessageId = messages[0]?.messageId as string;
      const { items } = await readAll(ListMessagesResponseSchema, list({ aroundMessageId }), (page) =>
        page.messages.map(({ seq }) => Number(seq)),
      );
      expect(items.length).toBeGreaterThan(55);
      expect(items).toEqual(items.map((_, n) => (items[0] as number) + n));
      const first = 100 - (items[0] as number);
      const last = (items.at(-1) as number) - 100;
      expect(Math.abs(first - last)).toBeLessThanOrEqual(1);
    });
  });

  test("100 groups with full attributes are read on the default pages, each once", async () => {
    const owner = await server.login("owner");
    // Of those that take six bytes in JSON, too: what the store counts is not what is sent.
    for (const value of ["é".repeat(512), "\u0001".repeat(1_024)]) {
      const attributes = Object.fromEntries(
        Array.from({ length: 64 }, (_, n) => [`${n}`.padStart(64, "k"), value]),
      );
      for (let n = 0; n < 50; n++) await owner.groups.createGroup({ attributes });
    }
    const { items } = await readAll(
      ListMyGroupsResponseSchema,
      (pageToken) => owner.groups.listMyGroups({ pageToken }),
      ({ groups }) => groups.map(({ groupId }) => groupId),
    );
    expect(items).toEqual([...new Set(items)].sort());
    expect(items).toHaveLength(100);
  });

  test("80 conversations with messages of 64 KB are read, each once, also the unread alone", async () => {
    const busy = await server.login("busy");
    const value = { typeUrl: "acme/acme.Photo", value: new Uint8Array(65_000) };
    for (let n = 0; n < 80; n++) {
      const content = { kind: { case: "custom" as const, value } };
      const { chat } = await server.login(`peer-${n}`);
      await chat.sendDirect({ recipientId: "busy", content });
    }
    for (const unreadOnly of [false, true]) {
      const { items, pages } = await readAll(
        ListConversationsResponseSchema,
        (pageToken) => busy.conversations.listConversations({ pageSize: 1_000, pageToken, unreadOnly }),
        ({ conversations }) => conversations.map(({ conversationId }) => conversationId),
      );
      expect(items).toEqual(Array.from({ length: 80 }, (_, n) => `d:busy:peer-${79 - n}`));
      expect(pages).toBe(5);
    }
  });

  test("what has no pages fits: 500 memberships, 1,000 members, 500 presences, all with the longest ids", async () => {
    const groupId = "g".repeat(128);
    const ids = (from: number) => Array.from({ length: 500 }, (_, n) => `${from + n}`.padStart(128, "x"));
    await ada.groups.createGroup({ groupId });
    for (const from of [1_000, 1_500]) {
      const added = await ada.groups.addMembers({ groupId, userIds: ids(from) });
      expect(added.members).toHaveLength(500);
      expect(toBinary(AddMembersResponseSchema, added).length).toBeLessThan(524_288);
    }
    const listed = await ada.groups.listMembers({ groupId, pageSize: 1_000 });
    expect(listed.members).toHaveLength(1_000);
    expect(toBinary(ListMembersResponseSchema, listed).length).toBeLessThan(524_288);
    const answer = await ada.presence.getPresence({ userIds: ids(1_000) });
    expect(toBinary(GetPresenceResponseSchema, answer).length).toBeLessThan(524_288);
  });
}

describe("no answer is larger than 1 MiB, and lists go on where a page ended, on SQLite:", () => {
  answersAreBounded(() => startTestServer());
});

describeWithPostgres(
  "no answer is larger than 1 MiB, and lists go on where a page ended, on PostgreSQL:",
  () => {
    let postgres: TestPostgres | undefined;
    answersAreBounded(async () => {
      postgres = await startPostgres();
      return startTestServer({ databaseUrl: await postgres.createDatabase() });
    });
    afterAll(() => postgres?.close());
  },
);
