/** Who watches a user of another node, while what the nodes say to each other is lost, late or overtaken. */

import { create, fromBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { StreamResponseSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { WatchPresenceRequestSchema } from "../../gen/parlance/chat/v1/presence_service_pb.js";
import { type BusMessage, type PresenceMessage, subjects } from "../../src/bus/bus.ts";
import { createLocalBus } from "../../src/bus/local.ts";
import { Hub } from "../../src/live/hub.ts";
import { Presences } from "../../src/live/presences.ts";
import type { Session } from "../../src/live/session.ts";
import { systemClock } from "../../src/model/clock.ts";
import { createSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { Store } from "../../src/store/store.ts";
import { makeDataDir } from "../support/serve-child.ts";

let data: ReturnType<typeof makeDataDir>;
let store: Store;
beforeEach(async () => {
  data = makeDataDir();
  store = await createSqliteStore({ path: `${data.path}/parlance.db` });
});
afterEach(async () => {
  await store.close();
  data.remove();
});

/** What another node says of a user: connected there, or not. */
const says = (userId: string, online: boolean): PresenceMessage => ({
  type: "presence",
  userId,
  instanceId: "another",
  platforms: online ? [1] : [],
  lastActiveMs: 1,
});

/** A node with one session that watches, and a bus whose questions the test answers. */
function createWatcher() {
  const questions = new Map<string, (answers: BusMessage[]) => void>();
  const bus = {
    ...createLocalBus(),
    request: (subject: string) =>
      new Promise<BusMessage[]>((resolve) => {
        questions.set(subject, resolve);
      }),
  };
  const hub = new Hub(store, bus, { onMessage: () => undefined, onUserCame() {}, onUserGone() {} });
  const presences = new Presences(store, bus, hub, {
    instanceId: "this one",
    visibility: "everyone",
    clock: systemClock,
  });
  const told = new Map<string, boolean[]>();
  const take = (frame: Uint8Array) => {
    for (const { event } of fromBinary(StreamResponseSchema, frame).events) {
      if (event.case !== "presence") continue;
      const { userId, online } = event.value;
      told.set(userId, [...(told.get(userId) ?? []), online]);
    }
  };
  const session = {
    caller: { userId: "watcher" },
    outbox: { ended: false },
    watched: new Set<string>(),
    reply: take,
    deliverEphemeral: ({ frame }: { frame: Uint8Array }) => take(frame),
  } as unknown as Session;
  return {
    told,
    /** Begins to watch, and returns once other nodes were asked. */
    async watch(...userIds: string[]) {
      const watching = presences.watch(session, create(WatchPresenceRequestSchema, { userIds }));
      await new Promise((resolve) => setImmediate(resolve));
      return { done: watching };
    },
    hear: (message: PresenceMessage) => bus.publish(subjects.presence(message.userId), message),
    answer: (userId: string, ...answers: BusMessage[]) => questions.get(subjects.user(userId))?.(answers),
  };
}

test("is told that the user is online when the answer is lost and the news is not", async () => {
  const { told, watch, hear, answer } = createWatcher();
  const { done } = await watch("bob");
  hear(says("bob", true));
  answer("bob");
  await done;
  // That the user is there is said again and again, and tells nothing new.
  hear(says("bob", true));
  expect(told.get("bob")?.at(-1)).toBe(true);
});

test("is told that the user is offline who went before all answers were there", async () => {
  const { told, watch, hear, answer } = createWatcher();
  const { done } = await watch("bob", "carol");
  answer("bob", says("bob", true));
  await new Promise((resolve) => setImmediate(resolve));
  hear(says("bob", false));
  answer("carol");
  await done;
  expect(told.get("bob")?.at(-1)).toBe(false);
});
