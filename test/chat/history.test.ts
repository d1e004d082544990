import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatMessage, SendResult } from "../../gen/parlance/chat/v1/message_pb.js";
import type { ListMessagesRequestSchema } from "../../gen/parlance/chat/v1/message_service_pb.js";
import { failureOf } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";

type ListRequest = MessageInitShape<typeof ListMessagesRequestSchema>;

const groupId = "history";
const target = { case: "groupId" as const, value: groupId };
/** The seqs of the group's messages; the others are membership and settings. */
const messageSeqs: number[] = [];
const sent = new Map<number, SendResult>();
/** Messages accepted at or after the pause are all later than those before it. */
let pauseMs = 0;

let server: TestServer;
let owner: UserClients;
beforeAll(async () => {
  server = await startTestServer();
  owner = await server.login("owner");
  await owner.groups.createGroup({ groupId, memberIds: ["member"] });
  async function say(count: number) {
    const answers = await Promise.all(
      Array.from({ length: count }, () => owner.chat.sendGroup({ groupId, content: text("a message") })),
    );
    for (const { result } of answers) {
      if (result === undefined) throw new Error("no result");
      sent.set(Number(result.seq), result);
      messageSeqs.push(Number(result.seq));
    }
    messageSeqs.sort((a, b) => a - b);
  }
  await say(12);
  for (let n = 0; n < 9; n++) await owner.groups.addMembers({ groupId, userIds: [`guest-${n}`] });
  await say(1);
  await owner.groups.updateGroup({ group: { groupId, name: "n" }, updateMask: { paths: ["name"] } });
  await say(9);
  const before = Date.now();
  await eventually(() => Date.now() > before + 2);
  pauseMs = Date.now();
  await eventually(() => Date.now() > pauseMs + 2);
  await say(12);
  await owner.groups.removeMembers({ groupId, userIds: ["guest-0"] });
  await owner.groups.removeMembers({ groupId, userIds: ["guest-1"] });
});
afterAll(() => server.close());

/** The last event's: 2 of creation, 34 messages, 9 + 1 + 2 other events. */
const lastSeq = 48;

const seqsOf = (messages: readonly ChatMessage[]) => messages.map(({ seq }) => Number(seq));

/** Reads all pages, in the order they come. */
async function pagesOf(request: ListRequest, caller = owner): Promise<number[][]> {
  const pages: number[][] = [];
  for (let pageToken = ""; ; ) {
    const page = await caller.messages.listMessages({ ...request, pageToken });
    expect(page.lastSeq).toBe(BigInt(lastSeq));
    expect(page.messages.length).toBeLessThanOrEqual(request.pageSize || 50);
    pages.push(seqsOf(page.messages));
    if (page.nextPageToken === "") return pages;
    pageToken = page.nextPageToken;
  }
}

/** The seq of the message at an index, also from the end. */
const at = (index: number) => messageSeqs.at(index) as number;

/** Some ways to bound a list, and whether it then reads backwards. */
const ranges: [
  name: string,
  bounds: () => ListRequest,
  fits: (seq: number) => boolean,
  backwards: boolean,
][] = [
  ["without a bound", () => ({}), () => true, false],
  ["after the start", () => ({ afterSeq: 0n }), () => true, false],
  ["after a message", () => ({ afterSeq: 5n }), (seq) => seq > 5, false],
  ["after an event that is no message", () => ({ afterSeq: 17n }), (seq) => seq > 17, false],
  ["after the last event", () => ({ afterSeq: BigInt(lastSeq) }), () => false, false],
  ["after what is to come", () => ({ afterSeq: 2n ** 62n }), () => false, false],
  ["before a message", () => ({ beforeSeq: 30n }), (seq) => seq < 30, true],
  ["before an event that is no message", () => ({ beforeSeq: 20n }), (seq) => seq < 20, true],
  ["before the end", () => ({ beforeSeq: 2n ** 63n - 1n }), () => true, true],
  ["before the first message", () => ({ beforeSeq: 3n }), () => false, true],
  ["before the start", () => ({ beforeSeq: 0n }), () => false, true],
  ["between two messages", () => ({ afterSeq: 4n, beforeSeq: 40n }), (seq) => seq > 4 && seq < 40, false],
  ["between neighbours", () => ({ afterSeq: 4n, beforeSeq: 5n }), () => false, false],
  ["between bounds that cross", () => ({ afterSeq: 40n, beforeSeq: 4n }), () => false, false],
  ["after a time", () => ({ afterTime: timestampFromMs(pauseMs) }), (seq) => seq >= at(22), false],
  ["before a time", () => ({ beforeTime: timestampFromMs(pauseMs) }), (seq) => seq < at(22), true],
  ["after the end of time", () => ({ afterTime: timestampFromMs(253402300799000) }), () => false, false],
  ["before the end of time", () => ({ beforeTime: timestampFromMs(253402300799000) }), () => true, true],
  ["after the largest time", () => ({ afterTime: { seconds: 2n ** 63n - 1n } }), () => false, false],
  [
    "before the smallest time",
    () => ({ beforeTime: { seconds: -(2n ** 63n), nanos: -1 } }),
    () => false,
    true,
  ],
  ["after 1970", () => ({ afterTime: timestampFromMs(0) }), () => true, false],
  ["before 1970", () => ({ beforeTime: timestampFromMs(0) }), () => false, true],
  [
    "after a time and before a seq",
    () => ({ afterTime: timestampFromMs(pauseMs), beforeSeq: 44n }),
    (seq) => seq >= at(22) && seq < 44,
    false,
  ],
  [
    "after a seq and before a time",
    () => ({ afterSeq: 8n, beforeTime: timestampFromMs(pauseMs) }),
    (seq) => seq > 8 && seq < at(22),
    false,
  ],
  [
    "after a seq and a time",
    () => ({ afterSeq: 44n, afterTime: timestampFromMs(pauseMs) }),
    (seq) => seq > 44,
    false,
  ],
];

describe("ListMessages", () => {
  test("takes seqs for events that are no messages, and skips those", () => {
    expect(messageSeqs).toHaveLength(34);
    expect(messageSeqs[0]).toBe(3);
    expect(messageSeqs.slice(11, 15)).toEqual([14, 24, 26, 27]);
    expect(messageSeqs.at(-1)).toBe(lastSeq - 2);
  });

  describe.each(ranges)("%s", (_, bounds, fits, backwards) => {
    test.each([1, 7, 1000, 0])("visits each message exactly once with pages of %d", async (pageSize) => {
      const pages = await pagesOf({ target, ...bounds(), pageSize });
      for (const page of pages) expect(page).toEqual([...page].sort((a, b) => a - b));
      const visited = (backwards ? [...pages].reverse() : pages).flat();
      expect(visited).toEqual(messageSeqs.filter(fits));
      // Every page but the last is full, so nobody pages through emptiness.
      for (const page of pages.slice(0, -1)) expect(page).toHaveLength(pageSize || 50);
      if (visited.length > 0) expect(pages.at(-1)).not.toEqual([]);
    });
  });

  test("finds times between milliseconds", async () => {
    const result = sent.get(at(22)) as SendResult;
    const acceptMs = timestampMs(result.acceptTime as NonNullable<SendResult["acceptTime"]>);
    const shifted = (micros: number) => {
      const { seconds, nanos } = timestampFromMs(acceptMs - 1);
      const sum = nanos + 1_000_000 + micros * 1000;
      return sum >= 1_000_000_000
        ? { seconds: seconds + 1n, nanos: sum - 1_000_000_000 }
        : { seconds, nanos: sum };
    };
    const first = async (bounds: ListRequest) =>
      seqsOf((await owner.messages.listMessages({ target, ...bounds, pageSize: 1000 })).messages);
    for (const micros of [-600, -400, -0.001]) {
      expect((await first({ afterTime: shifted(micros) }))[0]).toBe(at(22));
      expect((await first({ beforeTime: shifted(micros) })).at(-1)).toBe(at(21));
    }
    expect(await first({ afterTime: shifted(0) })).not.toContain(at(22));
    expect((await first({ beforeTime: shifted(0) })).at(-1)).toBe(at(21));
    for (const micros of [0.001, 400, 600]) {
      expect(await first({ afterTime: shifted(micros) })).not.toContain(at(22));
      expect(await first({ beforeTime: shifted(micros) })).toContain(at(22));
    }
  });

  test("is not confused by messages that arrive while it is paged", async () => {
    const [one, other] = await Promise.all([server.login("writer"), server.login("reader")]);
    const say = () => one.chat.sendDirect({ recipientId: "reader", content: text("more") });
    for (let n = 0; n < 4; n++) await say();
    const request = { target: { case: "recipientId" as const, value: "writer" }, pageSize: 2 };
    const newest = await other.messages.listMessages({ ...request, beforeSeq: 1_000_000n });
    const oldest = await other.messages.listMessages(request);
    await say();
    const older = await other.messages.listMessages({
      ...request,
      beforeSeq: 1_000_000n,
      pageToken: newest.nextPageToken,
    });
    const newer = await other.messages.listMessages({ ...request, pageToken: oldest.nextPageToken });
    const last = await other.messages.listMessages({ ...request, pageToken: newer.nextPageToken });
    expect([oldest, newer, last].map(({ messages }) => seqsOf(messages))).toEqual([[1, 2], [3, 4], [5]]);
    expect([newest, older].map(({ messages }) => seqsOf(messages))).toEqual([
      [3, 4],
      [1, 2],
    ]);
    expect(older.nextPageToken).toBe("");
  });

  describe("around a message", () => {
    const around = async (index: number, pageSize: number) => {
      const aroundMessageId = sent.get(at(index))?.messageId ?? "";
      const page = await owner.messages.listMessages({ target, aroundMessageId, pageSize });
      expect(page.nextPageToken).toBe("");
      expect(page.lastSeq).toBe(BigInt(lastSeq));
      return seqsOf(page.messages);
    };

    test.each([
      [1, 0, 1],
      [2, 0, 2],
      [3, 1, 2],
      [7, 3, 4],
      [10, 4, 6],
    ])("a page of %d has it in its middle", async (pageSize, before, after) => {
      expect(await around(16, pageSize)).toEqual(messageSeqs.slice(16 - before, 16 + after));
    });

    test("a page ends where the conversation does", async () => {
      expect(await around(0, 7)).toEqual(messageSeqs.slice(0, 4));
      expect(await around(33, 7)).toEqual(messageSeqs.slice(30));
      expect(await around(12, 1000)).toEqual(messageSeqs);
    });

    test("of another conversation, or that is none, is refused", async () => {
      const { result } = await owner.chat.sendDirect({ recipientId: "elsewhere", content: text("x") });
      for (const aroundMessageId of [
        result?.messageId ?? "",
        "0198c5a4-2c7c-7aaa-8aaa-aaaaaaaaaaaa",
        crypto.randomUUID(),
      ]) {
        expect(
          await failureOf((options) => owner.messages.listMessages({ target, aroundMessageId }, options)),
        ).toMatchObject({
          code: "NOT_FOUND",
          reasonName: "MESSAGE_NOT_FOUND",
        });
      }
    });

    test("goes with no other bound", async () => {
      const aroundMessageId = sent.get(3)?.messageId ?? "";
      const request = { target, aroundMessageId, afterSeq: 1n };
      expect(await failureOf((options) => owner.messages.listMessages(request, options))).toMatchObject({
        code: "INVALID_ARGUMENT",
        violations: [{ rule: "list_messages.around_alone" }],
      });
    });
  });

  test("gives the same by the conversation's id as by its target", async () => {
    const byGroup = await owner.messages.listMessages({ target });
    const byId = await owner.messages.listMessages({
      target: { case: "conversationId", value: `g:${groupId}` },
    });
    expect(byId).toEqual(byGroup);
    const { result } = await owner.chat.sendDirect({ recipientId: "a:b%c", content: text("x") });
    expect(result?.conversationId).toBe("d:a%3Ab%25c:owner");
    const direct = { case: "conversationId" as const, value: result?.conversationId ?? "" };
    expect((await owner.messages.listMessages({ target: direct })).messages).toHaveLength(1);
    const peer = await server.login("a:b%c");
    expect(
      (await peer.messages.listMessages({ target: { case: "recipientId", value: "owner" } })).messages,
    ).toHaveLength(1);
  });

  test("of a conversation that nobody began is empty, with last_seq 0", async () => {
    for (const value of ["nobody", "owner"]) {
      const page = await owner.messages.listMessages({ target: { case: "recipientId", value } });
      expect(page).toMatchObject({ messages: [], nextPageToken: "", lastSeq: 0n });
    }
  });

  test("refuses conversations that are none, or not the caller's, in the same words", async () => {
    await owner.chat.sendDirect({ recipientId: "member", content: text("private") });
    const stranger = await server.login("stranger");
    const failures = await Promise.all(
      ["d:member:owner", "d:stranger:x", "d:", "g:", "g:none", "x", `g:${groupId}`, "d:b:a"].map((value) =>
        failureOf((options) =>
          stranger.messages.listMessages({ target: { case: "conversationId", value } }, options),
        ),
      ),
    );
    for (const failure of failures) {
      expect(failure).toMatchObject({
        code: "NOT_FOUND",
        reasonName: "CONVERSATION_NOT_FOUND",
        message: failures[0]?.message,
      });
    }
    for (const value of [groupId, "none"]) {
      expect(
        await failureOf((options) =>
          stranger.messages.listMessages({ target: { case: "groupId", value } }, options),
        ),
      ).toMatchObject({ code: "NOT_FOUND", reasonName: "GROUP_NOT_FOUND" });
    }
  });

  test("refuses a page token of other bounds, another caller, or none at all", async () => {
    const member = await server.login("member");
    const { nextPageToken: pageToken } = await owner.messages.listMessages({
      target,
      afterSeq: 1n,
      pageSize: 1,
    });
    for (const [caller, request] of [
      [owner, { target, pageToken }],
      [owner, { target, beforeSeq: 1n, pageToken }],
      [owner, { target, afterSeq: 2n, pageToken }],
      [member, { target, afterSeq: 1n, pageToken }],
      [owner, { target: { case: "recipientId", value: "member" }, afterSeq: 1n, pageToken }],
      [owner, { target, afterSeq: 1n, pageToken: "AAAAAAAAAAAAMTA" }],
      [owner, { target, afterSeq: 1n, pageToken: "?" }],
    ] as const) {
      expect(await failureOf((options) => caller.messages.listMessages(request, options))).toMatchObject({
        code: "INVALID_ARGUMENT",
        reasonName: "INVALID_PAGE_TOKEN",
      });
    }
    const other = await owner.messages.listMessages({ target, afterSeq: 1n, pageSize: 2, pageToken });
    expect(seqsOf(other.messages)).toEqual(messageSeqs.slice(1, 3));
  });

  test.each([-1, 1001, 2 ** 31 - 1, -(2 ** 31)])("refuses a page size of %d", async (pageSize) => {
    expect(
      await failureOf((options) => owner.messages.listMessages({ target, pageSize }, options)),
    ).toMatchObject({
      code: "INVALID_ARGUMENT",
      violations: [{ field: "page_size" }],
    });
  });
});

describe("history from before a member joined", () => {
  /** What a member reads of a group: lists in all directions and single messages. */
  async function readable(
    { messages }: UserClients,
    id: string,
    answers: readonly (SendResult | undefined)[],
  ) {
    const of = { case: "groupId" as const, value: id };
    const lists = await Promise.all(
      [{}, { afterSeq: 0n }, { beforeSeq: 1_000n }, { afterTime: timestampFromMs(0) }].map(async (bounds) =>
        seqsOf((await messages.listMessages({ target: of, ...bounds })).messages),
      ),
    );
    for (const list of lists) expect(list).toEqual(lists[0]);
    const single = await Promise.all(
      answers.map(async (answer) =>
        messages.getMessage({ messageId: answer?.messageId ?? "" }).then(
          ({ message }) => Number(message?.seq),
          () => undefined,
        ),
      ),
    );
    expect(single.filter((seq) => seq !== undefined)).toEqual(lists[0]);
    return lists[0];
  }

  test.each([false, true])("is theirs when the group says so: %s", async (historyForNewMembers) => {
    const id = `new members ${historyForNewMembers}`;
    const late = await server.login("late");
    await owner.groups.createGroup({ groupId: id, historyForNewMembers });
    const say = async () => (await owner.chat.sendGroup({ groupId: id, content: text("x") })).result;
    const answers = [await say(), await say()];
    await owner.groups.addMembers({ groupId: id, userIds: ["late"] });
    answers.push(await say());
    expect(await readable(late, id, answers)).toEqual(historyForNewMembers ? [3, 4, 6] : [6]);
    const around = failureOf((options) =>
      late.messages.listMessages(
        { target: { case: "groupId", value: id }, aroundMessageId: answers[0]?.messageId ?? "" },
        options,
      ),
    );
    await (historyForNewMembers
      ? expect(around).rejects.toThrow("the call did not fail")
      : expect(around).resolves.toMatchObject({ reasonName: "MESSAGE_NOT_FOUND" }));

    await late.groups.leaveGroup({ groupId: id });
    answers.push(await say());
    for (const answer of answers) {
      const { messageId = "" } = answer ?? {};
      expect(await failureOf((options) => late.messages.getMessage({ messageId }, options))).toMatchObject({
        code: "NOT_FOUND",
        reasonName: "MESSAGE_NOT_FOUND",
      });
    }
    await owner.groups.addMembers({ groupId: id, userIds: ["late"] });
    answers.push(await say());
    expect(await readable(late, id, answers)).toEqual(historyForNewMembers ? [3, 4, 6, 8, 10] : [10]);
  });

  test("stays as it was at their joining when the group changes its mind", async () => {
    const id = "change of mind";
    const [early, late] = await Promise.all([server.login("early"), server.login("late")]);
    await owner.groups.createGroup({ groupId: id });
    const say = async () => (await owner.chat.sendGroup({ groupId: id, content: text("x") })).result;
    const answers = [await say()];
    await owner.groups.addMembers({ groupId: id, userIds: ["early"] });
    await owner.groups.updateGroup({
      group: { groupId: id, historyForNewMembers: true },
      updateMask: { paths: ["history_for_new_members"] },
    });
    await owner.groups.addMembers({ groupId: id, userIds: ["late"] });
    answers.push(await say());
    expect(await readable(early, id, answers)).toEqual([7]);
    expect(await readable(late, id, answers)).toEqual([3, 7]);
  });

  test("is not sent to a stream, whatever the group says", async () => {
    const id = "shown on demand";
    await owner.groups.createGroup({ groupId: id, historyForNewMembers: true });
    await owner.chat.sendGroup({ groupId: id, content: text("before") });
    const stream = (await server.login("newcomer")).stream();
    await stream.open();
    await owner.groups.addMembers({ groupId: id, userIds: ["newcomer"] });
    await owner.chat.sendGroup({ groupId: id, content: text("after") });
    await stream.until(() => stream.texts().includes("after"));
    expect(stream.texts()).toEqual(["after"]);
    const { members } = await stream.next("membershipChanged");
    expect(members[0]?.visibleFromSeq).toBe(1n);
    stream.cancel();
  });
});

describe("GetMessage", () => {
  test("returns the message as the stream delivered it", async () => {
    const reader = await server.login("reader-2");
    const stream = reader.stream();
    await stream.open();
    const { result } = await owner.chat.sendDirect({
      recipientId: "reader-2",
      content: {
        kind: { case: "custom", value: { typeUrl: "example.com/x", value: new Uint8Array([0, 255]) } },
        fallbackText: "?",
      },
      clientMessageId: "c-1",
      options: { labels: { a: "1" }, mentionUserIds: ["x"], mentionAll: true, silent: true },
    });
    const { messageId = "" } = result ?? {};
    const delivered = await stream.next("message");
    for (const { messages } of [reader, owner]) {
      expect((await messages.getMessage({ messageId })).message).toEqual(delivered);
      expect((await messages.getMessage({ messageId: messageId.toUpperCase() })).message).toEqual(delivered);
    }
    expect(delivered.messageId).toBe(messageId);
    const answer = await owner.chat.sendDirect({
      recipientId: "reader-2",
      content: text("an answer"),
      options: { replyToMessageId: messageId },
    });
    const reply = await reader.messages.getMessage({ messageId: answer.result?.messageId ?? "" });
    expect(reply.message?.replyToMessageId).toBe(messageId);
    stream.cancel();
  });

  test("tells nobody outside of a message, nor of what is none", async () => {
    const stranger = await server.login("stranger");
    const messageId = sent.get(3)?.messageId ?? "";
    // A message id holds where the message stands: neither a neighbour's place nor a guess may open anything.
    const digit = (Number.parseInt(messageId.at(-1) ?? "", 16) + 1) % 16;
    const ids = [
      messageId,
      messageId.slice(0, -1) + digit.toString(16),
      crypto.randomUUID(),
      "00000000-0000-0000-0000-000000000000",
    ];
    const failures = await Promise.all(
      ids.map((id) => failureOf((options) => stranger.messages.getMessage({ messageId: id }, options))),
    );
    for (const failure of failures) {
      expect(failure).toEqual(failures[0]);
      expect(failure).toMatchObject({ code: "NOT_FOUND", reasonName: "MESSAGE_NOT_FOUND" });
    }
    for (const id of ["", "x", `${messageId}0`, messageId.replaceAll("-", "")]) {
      expect(
        await failureOf((options) => owner.messages.getMessage({ messageId: id }, options)),
      ).toMatchObject({
        code: "INVALID_ARGUMENT",
        violations: [{ field: "message_id" }],
      });
    }
  });
});
