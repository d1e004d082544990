import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { listed, withOpen } from "../../../clients/model/conversations.ts";
import { changeConversation, emptyChat } from "../../../clients/model/state.ts";
import { addPage, loadingTimeline } from "../../../clients/model/timeline.ts";
import { nextStaleTyping, withoutStaleTyping } from "../../../clients/model/typing.ts";
import { unknownContent } from "../../../clients/model/words.ts";
import { type ClientEvent, MembershipChange, Role } from "../../../clients/typescript/index.ts";
import { PresenceSchema } from "../../../gen/parlance/chat/v1/presence_pb.js";
import { seed } from "../../support/seed.ts";
import { apply, changed, conversation, direct, read, said, seqs, settings, team, types } from "./events.ts";

const empty = emptyChat("alice");
const { JOINED, ADDED, LEFT, REMOVED } = MembershipChange;

/** Alice with everything that was said so far on her screen. */
const looking = changeConversation(apply(empty, said(1)), direct, (former) => ({
  ...former,
  timeline: addPage(loadingTimeline(), [], "none"),
}));

describe("messages", () => {
  test("of others count as unread once, also when they come again", () => {
    const state = apply(empty, said(1), said(2), said(2), said(3, "alice"), said(1));
    expect(conversation(state)).toMatchObject({
      unread: 2,
      lastSeq: 3,
      lastMessage: { seq: 3, senderId: "alice" },
    });
  });

  test("whose content nobody knows are shown as such", () => {
    const fallback = said(1, "bob", { content: { fallbackText: "a picture" } });
    const nothing = said(2, "bob", { content: {} });
    expect(conversation(apply(empty, fallback)).lastMessage?.text).toBe("a picture");
    expect(conversation(apply(empty, nothing)).lastMessage?.text).toBe(unknownContent);
  });

  test("are new after what was read when their conversation was opened, until it is closed", () => {
    const read = changeConversation(apply(empty, said(1)), direct, (former) => ({
      ...former,
      readSeq: 1,
      unread: 0,
    }));
    const opened = withOpen(apply(read, said(2)), direct);
    expect(conversation(opened).newAfter).toBe(1);
    expect(withOpen(opened, direct)).toBe(opened);
    expect(conversation(withOpen(opened, undefined)).newAfter).toBeUndefined();
    expect(conversation(withOpen(read, direct)).newAfter).toBeUndefined();
  });
});

describe("the log of a conversation", () => {
  const log = Array.from({ length: 12 }, (_, i) => said(i + 2, i % 3 === 0 ? "alice" : "bob"));

  test("is the same in whatever order its events come, and however often", () => {
    const inOrder = conversation(apply(looking, ...log));
    fc.assert(
      fc.property(
        fc.shuffledSubarray([...log, ...log], { minLength: 24 }),
        fc.array(fc.constantFrom(...log)),
        (all, again) => {
          const { timeline, lastSeq, lastMessage, activityMs } = conversation(
            apply(looking, ...all, ...again),
          );
          expect(timeline?.entries).toEqual(inOrder.timeline?.entries);
          expect({ lastSeq, lastMessage, activityMs }).toEqual({
            lastSeq: inOrder.lastSeq,
            lastMessage: inOrder.lastMessage,
            activityMs: inOrder.activityMs,
          });
        },
      ),
      { seed: seed() },
    );
  });

  test("counts the same however often it is replayed, from wherever", () => {
    const once = apply(looking, ...log);
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: log.length }),
        fc.integer({ min: 0, max: log.length }),
        (to, from) => {
          expect(apply(looking, ...log.slice(0, to), ...log.slice(Math.min(from, to)))).toEqual(once);
        },
      ),
      { seed: seed() },
    );
  });

  test("has events of kinds that nobody knows: they are counted, and nothing is shown of them", () => {
    const later = (conversationId: string, seq: bigint) =>
      ({
        case: "later",
        value: {},
        cursor: undefined,
        place: { conversationId, seq },
      }) as unknown as ClientEvent;
    const state = apply(looking, later(direct, 2n), said(3), later(direct, 4n), later("d:alice:zoe", 1n));
    expect(conversation(state)).toMatchObject({ lastSeq: 4, unread: 2, lastMessage: { seq: 3 } });
    expect(seqs(state)).toEqual([3]);
    expect(state.conversations.has("d:alice:zoe")).toBe(false);
  });
});

describe("receipts", () => {
  test("tell how far the other has read, and what this user has read elsewhere", () => {
    const state = apply(empty, said(1), said(2), read("bob", 2), read("bob", 1));
    expect(conversation(state)).toMatchObject({ peerReadSeq: 2, unread: 2 });
    const elsewhere = apply(state, read("alice", 2));
    expect(conversation(elsewhere)).toMatchObject({ readSeq: 2, unread: 0 });
    expect(conversation(apply(elsewhere, said(3), read("alice", 1)))).toMatchObject({
      readSeq: 2,
      unread: 1,
    });
  });
});

describe("typing", () => {
  test("is shown for six seconds, or until the message", () => {
    const state = apply(empty, said(1), types("bob"));
    expect(nextStaleTyping(state)).toBe(7_000);
    expect(conversation(withoutStaleTyping(state, 6_999)).typing.has("bob")).toBe(true);
    expect(conversation(withoutStaleTyping(state, 7_000)).typing.size).toBe(0);
    expect(conversation(apply(state, said(2))).typing.size).toBe(0);
    expect(conversation(apply(state, types("bob", false))).typing.size).toBe(0);
  });

  test("of the user's own other devices is not shown", () => {
    expect(conversation(apply(empty, said(1), types("alice"))).typing.size).toBe(0);
  });
});

test("who is there is known as last told, and nothing changes when it is told again", () => {
  const presence = (online: boolean): ClientEvent => ({
    case: "presence",
    value: create(PresenceSchema, { userId: "bob", online }),
    cursor: undefined,
  });
  const state = apply(empty, presence(true));
  expect(state.presence.get("bob")).toEqual({ online: true });
  expect(apply(state, presence(true))).toBe(state);
  expect(apply(state, presence(false)).presence.get("bob")).toEqual({ online: false });
});

describe("a group", () => {
  test("that the user is added to is listed, and no longer when the membership ends, unless it is open", () => {
    const added = apply(empty, settings(1), changed(2, ADDED, ["alice"], Role.READER));
    expect(listed(added)).toMatchObject([{ id: team, target: { groupId: "team" }, lastSeq: 2 }]);
    expect(added.groups.get("team")).toMatchObject({ role: Role.READER, group: { memberCount: 2 } });
    for (const ended of [changed(3, REMOVED, ["alice"]), changed(3, LEFT, ["alice"]), disbanded(3)]) {
      const left = apply(added, said(1), ended);
      expect(listed(left).map(({ id }) => id)).toEqual([direct]);
      expect(listed({ ...left, openId: team })).toContainEqual(
        expect.objectContaining({ id: team, left: true }),
      );
      expect(left.groups.get("team")?.group.name).toBe("The team");
    }
  });

  test("that the user comes back to is loaded anew, as events are missing from then", () => {
    const added = apply(empty, settings(1), changed(2, ADDED, ["alice"]));
    const opened = changeConversation(added, team, (former) => ({
      ...former,
      timeline: addPage(loadingTimeline(), [], "none", former.notes),
    }));
    const removed = apply(opened, changed(3, REMOVED, ["alice"]));
    expect(seqs(removed, team)).toEqual([1, 2, 3]);
    const back = apply(removed, changed(9, JOINED, ["alice"]));
    expect(conversation(back, team)).not.toHaveProperty("left");
    expect(seqs(back, team)).toBeUndefined();
    expect(conversation(back, team).notes.map(({ seq }) => seq)).toEqual([1, 2, 3, 9]);
  });

  test("does not move up the list when somebody joins it, only when something is said", () => {
    const state = apply(
      empty,
      settings(1),
      changed(2, ADDED, ["alice"]),
      said(3),
      changed(4, JOINED, ["zoe"]),
    );
    expect(listed(state).map(({ id }) => id)).toEqual([direct, team]);
    const spoken = apply(state, said(5, "bob", { conversationId: team }));
    expect(listed(spoken).map(({ id }) => id)).toEqual([team, direct]);
  });

  test("has the members that events tell of, once they are loaded", () => {
    const added = apply(empty, settings(1), changed(2, ADDED, ["alice"]));
    const info = added.groups.get("team");
    if (info === undefined) throw new Error("there is no group");
    const known = { ...added, groups: new Map([["team", { ...info, members: [] }]]) };
    const state = apply(
      known,
      changed(3, JOINED, ["zoe"]),
      changed(4, ADDED, ["yan"]),
      changed(5, LEFT, ["zoe"]),
    );
    expect(state.groups.get("team")?.members?.map(({ userId }) => userId)).toEqual(["yan"]);
  });

  function disbanded(seq: number): ClientEvent {
    return settings(seq, { disbandTime: { seconds: 1_700_000_000n } });
  }
});
