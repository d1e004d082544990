/** The cost that one user can cause by marking all conversations again and again. */

import { join } from "node:path";
import { expect, test } from "vitest";
import { createLocalBus } from "../../src/bus/local.ts";
import { Conversations } from "../../src/chat/conversations.ts";
import { PageTokens } from "../../src/chat/page-tokens.ts";
import { systemClock } from "../../src/model/clock.ts";
import { createSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { toUser } from "../contracts/store-support.ts";
import { makeDataDir } from "../support/serve-child.ts";

test("of a user's calls at once one looks at their conversations at a time", async () => {
  const folder = makeDataDir();
  const store = await createSqliteStore({ path: join(folder.path, "parlance.db") });
  try {
    let looking = 0;
    let most = 0;
    const watched: typeof store = {
      ...store,
      async listConversations(...args) {
        most = Math.max(most, ++looking);
        return store.listConversations(...args).finally(() => looking--);
      },
    };
    const conversations = new Conversations(watched, createLocalBus(), new PageTokens("s"), 1e6, systemClock);
    for (const sender of ["bob", "cid", "dan"]) await store.append(toUser(sender, "ann"));
    const caller = {
      userId: "ann",
      deviceId: "d",
      platform: 0,
      sessionId: "s",
      expireTimeMs: 1e15,
      issueTimeMs: 0,
    };
    const calls = Array.from({ length: 10 }, () => conversations.markAllRead({} as never, caller));
    expect((await Promise.all(calls)).map(({ count }) => count)).toEqual([3, ...Array(9).fill(0)]);
    expect(most).toBe(1);
  } finally {
    await store.close();
    folder.remove();
  }
});
