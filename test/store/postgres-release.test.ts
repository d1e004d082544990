/** What a store does once a later release appends events that this one cannot be trusted with. */

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ErrorReason } from "../../src/model/errors.ts";
import { createPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import type { Store } from "../../src/store/store.ts";
import { refused, settings, toGroup, toUser } from "../contracts/store-support.ts";
import { groupChanges } from "../support/group-changes.ts";
import { describeWithPostgres, startPostgres, type TestPostgres } from "../support/postgres.ts";

const { conversationId } = toUser("a", "b");

/** Everything that writes to the log, or tells what is in it. */
const uses: Record<string, (store: Store) => Promise<unknown>> = {
  append: (store) => store.append(toUser("a", "b")),
  createGroup: (store) => groupChanges(store).createGroup(randomUUID(), "a", settings(), ["b"]),
  markRead: (store) => store.markRead("b", conversationId, 1),
  deleteSessions: (store) => store.deleteSessions("a", undefined),
  readTail: (store) => store.readTail(0, 10),
  readPosition: (store) => store.readPosition(1),
  readSeqs: (store) =>
    store.readSeqs(conversationId, {
      afterSeq: 0,
      beforeSeq: 9,
      limit: 9,
      fromEnd: false,
      messagesOnly: true,
    }),
  findMessage: (store) => store.findMessage("a", "known"),
  readMissed: (store) => store.readMissed("b", 0, 10, 1_000),
  countMissed: (store) => store.countMissed("b", 0, 10),
  listMissed: (store) => store.listMissed("b", 0, 0, 10, 1_000),
  access: (store) => store.access("b", conversationId),
  listConversations: (store) => store.listConversations("b", Number.MAX_SAFE_INTEGER, false, 10),
  getConversation: (store) => store.getConversation("b", conversationId),
  firstUnreadPosition: (store) => store.firstUnreadPosition("b"),
};

describeWithPostgres("once a later release writes to the store", () => {
  let postgres: TestPostgres;
  let url: string;
  let store: Store;

  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.close());
  beforeEach(async () => {
    url = await postgres.createDatabase();
    store = await createPostgresStore({ url });
    await store.append(toUser("a", "b", { clientMessageId: "known" }));
    await groupChanges(store).createGroup("g", "a", settings(), ["b"]);
    await store.append(toGroup("a", "g"));
    return () => store.close();
  });
  const raiseFence = () => postgres.query(url, "UPDATE parlance.log_head SET min_release = 2");

  test.each(Object.entries(uses))("%s, which answered before, is refused", async (_, use) => {
    const endings: string[] = [];
    store.onEnding((ending) => endings.push(ending));
    await use(store);
    await raiseFence();
    await refused(use(store), ErrorReason.STORE_UNAVAILABLE);
    // Whatever is asked from then on is not even tried.
    await refused(store.lastPosition(), ErrorReason.STORE_UNAVAILABLE);
    expect(endings).toEqual(["outdated"]);
  });

  test("nothing that was refused was stored", async () => {
    const head = "SELECT last_position, last_logout_id FROM parlance.log_head";
    const before = await postgres.query(url, head);
    for (const use of Object.values(uses)) {
      await postgres.query(url, "UPDATE parlance.log_head SET min_release = 0");
      const another = await createPostgresStore({ url });
      await raiseFence();
      await refused(use(another), ErrorReason.STORE_UNAVAILABLE);
      await another.close();
    }
    expect(await postgres.query(url, head)).toEqual(before);
  });

  test("it cannot be opened any more, and the error says what to do", async () => {
    await raiseFence();
    await expect(createPostgresStore({ url })).rejects.toThrow(
      /: a later release of Parlance writes to the schema "parlance"; start that release$/,
    );
  });
});
