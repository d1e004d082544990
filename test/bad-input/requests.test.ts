import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SendDirectRequestSchema, StreamRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { ContentSchema, TextStyle } from "../../gen/parlance/chat/v1/content_pb.js";
import type { Platform } from "../../gen/parlance/chat/v1/device_pb.js";
import { JoinPolicy, Role } from "../../gen/parlance/chat/v1/group_pb.js";
import { type Failure, failureOf } from "../support/errors.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";
import { createRawClient, encode, type RawClient } from "./raw-calls.ts";
import { invalid, refusal } from "./refusal.ts";

const sendDirectPath = "/parlance.chat.v1.ChatService/SendDirect";
const nobodysMessage = "0198c0de-0000-7000-8000-000000000001";
const maxInt32 = 2 ** 31 - 1;
const maxInt64 = 2n ** 63n - 1n;

let server: TestServer;
let alice: UserClients;
let bob: UserClients;
let raw: RawClient;

beforeAll(async () => {
  server = await startTestServer();
  [alice, bob] = await Promise.all([server.login("alice"), server.login("bob")]);
  raw = createRawClient(server.address, { authorization: `Bearer ${alice.token}` });
});
afterAll(async () => {
  raw.close();
  await server.close();
});

/** The seq of the last event between Alice and another user. */
async function lastSeqWith(userId: string): Promise<bigint> {
  return (await alice.messages.listMessages({ target: { case: "recipientId", value: userId } })).lastSeq;
}

/** The seq of the last event of a group of Alice's, and who is in it. */
async function stateOf(groupId: string) {
  const [{ lastSeq }, { members }, { group }] = await Promise.all([
    alice.messages.listMessages({ target: { case: "groupId", value: groupId } }),
    alice.groups.listMembers({ groupId }),
    alice.groups.getGroup({ groupId }),
  ]);
  return { lastSeq, members, group };
}

/** Wraps bytes in a length-delimited field. */
function field(number: number, bytes: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish();
}

function createGroup(groupId: string, joinPolicy = JoinPolicy.INVITE, memberIds: string[] = []) {
  return alice.groups.createGroup({ groupId, joinPolicy, memberIds });
}

describe("ids", () => {
  const wrong: Record<string, string> = {
    empty: "",
    "129 bytes long": "x".repeat(129),
    "43 characters but 129 bytes long": "世".repeat(43),
    "1 MB long, as far as fits": "x".repeat(100_000),
    "with a NUL": "a\0b",
    "with a newline at the end": "bob\n",
    "with a space at the end": "bob ",
    "with a space at the start": " bob",
    "with a no-break space at the end": "bob\u00a0",
    "with an ideographic space at the start": "\u3000bob",
    "with a line separator": "a\u2028b",
    "with an escape sequence": "\u001b[31mbob",
    "with an RTL override": "bob\u202egpj",
    "with an isolate": "bob\u2066",
    "with an RTL mark": "bob\u200f",
  };

  test.each(Object.entries(wrong))(
    "B32: an id %s is refused, and the refusal names the field",
    async (_, id) => {
      const content = text("hi");
      const before = await lastSeqWith("bob");
      expect(await failureOf((o) => alice.chat.sendDirect({ recipientId: id, content }, o))).toMatchObject(
        invalid("recipient_id"),
      );
      expect(await failureOf((o) => alice.chat.sendGroup({ groupId: id, content }, o))).toMatchObject(
        invalid("group_id"),
      );
      expect(await failureOf((o) => alice.groups.getGroup({ groupId: id }, o))).toMatchObject(
        invalid("group_id"),
      );
      expect(
        await failureOf((o) => alice.groups.createGroup({ name: "ids", memberIds: ["ok", id] }, o)),
      ).toMatchObject(invalid("member_ids[1]"));
      expect(await failureOf((o) => alice.presence.getPresence({ userIds: [id] }, o))).toMatchObject(
        invalid("user_ids[0]"),
      );
      expect(
        await failureOf((o) =>
          alice.messages.listMessages({ target: { case: "recipientId", value: id } }, o),
        ),
      ).toMatchObject(invalid("recipient_id"));
      expect(
        await failureOf((o) =>
          alice.chat.sendDirect({ recipientId: "bob", content, options: { mentionUserIds: [id] } }, o),
        ),
      ).toMatchObject(invalid("options.mention_user_ids[0]"));
      expect(
        await failureOf((o) => server.as({}).chat.login({ credential: { case: "devUserId", value: id } }, o)),
      ).toMatchObject(invalid("dev_user_id"));
      if (id !== "") {
        expect(await failureOf((o) => alice.groups.createGroup({ groupId: id }, o))).toMatchObject(
          invalid("group_id"),
        );
        const device = { deviceId: id };
        const credential = { case: "devUserId", value: "alice" } as const;
        expect(await failureOf((o) => server.as({}).chat.login({ credential, device }, o))).toMatchObject(
          invalid("device.device_id"),
        );
      }
      expect(await lastSeqWith("bob")).toBe(before);
    },
  );

  test.each([
    "../../etc/passwd",
    "%00",
    "%2e%2e%2f",
    "d:alice:bob",
    "g:team",
    "a b",
    "'; DROP TABLE events; --",
    "<script>alert(1)</script>",
    "__proto__",
    "constructor",
    "x".repeat(128),
    "世".repeat(42),
    "👩‍👩‍👧",
    "01890A5D-AC96-774B-BCCE-B302099A8057",
  ])("B32: the id %s is as good as any and stays what it is", async (id) => {
    const user = await server.login(id);
    expect(user.userId).toBe(id);
    const { result } = await alice.chat.sendDirect({ recipientId: id, content: text("for you") });
    const { messages } = await user.messages.listMessages({
      target: { case: "recipientId", value: "alice" },
    });
    expect(messages[0]?.target).toEqual({ case: "recipientId", value: id });
    expect(messages[0]?.conversationId).toBe(result?.conversationId);
    const { group } = await user.groups.createGroup({ groupId: id, memberIds: ["alice"] });
    expect(group).toMatchObject({ groupId: id, ownerId: id });
    const { conversations } = await user.conversations.listConversations({});
    expect(new Set(conversations.map(({ target }) => target.value))).toEqual(new Set(["alice", id]));
    const { members } = await alice.groups.listMembers({ groupId: id });
    expect(members.map(({ userId }) => userId).sort()).toEqual([id, "alice"].sort());
  });

  test("B32: ids that differ in nothing but case, or only look alike, are different users", async () => {
    const ids = [
      "01890a5d-ac96-774b-bcce-b302099a8abc",
      "01890A5D-AC96-774B-BCCE-B302099A8ABC",
      "twin",
      "Twin",
      "tw\u0456n", // Cyrillic і
      "caf\u00e9", // NFC
      "cafe\u0301", // NFD
    ];
    for (const recipientId of ids) await alice.chat.sendDirect({ recipientId, content: text(recipientId) });
    for (const id of ids) {
      const twin = await server.login(id);
      const { messages } = await twin.messages.listMessages({
        target: { case: "recipientId", value: "alice" },
      });
      expect(messages.map(({ content }) => content?.kind.value)).toEqual([
        expect.objectContaining({ body: id }),
      ]);
    }
  });

  test("B32: a user id with the separators of conversation ids is not mistaken for two users", async () => {
    await alice.chat.sendDirect({ recipientId: "x:y", content: text("one") });
    const [x, both] = await Promise.all([server.login("alice:x"), server.login("y")]);
    const conversationId = "d:alice:x:y";
    for (const user of [x, both]) {
      expect(
        await failureOf((o) =>
          user.messages.listMessages({ target: { case: "conversationId", value: conversationId } }, o),
        ),
      ).toMatchObject(refusal("NOT_FOUND", "CONVERSATION_NOT_FOUND"));
    }
  });
});

describe("content", () => {
  test("B3: a message of 1 MB is refused before it is read, whatever it is, and the server goes on", async () => {
    const before = await lastSeqWith("bob");
    const content = text("x".repeat(1_000_000));
    const failure = await failureOf((o) => alice.chat.sendDirect({ recipientId: "bob", content }, o));
    expect(failure).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reasonName: "REQUEST_TOO_LARGE",
      message: expect.stringContaining("131072"),
    });
    expect(await lastSeqWith("bob")).toBe(before);
  });

  test("content of more than 64 KiB is refused, content of exactly 64 KiB is not", async () => {
    const custom = (bytes: number) => ({
      kind: { case: "custom" as const, value: { typeUrl: "host/x", value: new Uint8Array(bytes) } },
    });
    const size = (bytes: number) => toBinary(ContentSchema, create(ContentSchema, custom(bytes))).length;
    const fits = 65_536 - (size(60_000) - 60_000);
    expect(size(fits)).toBe(65_536);
    const send = (bytes: number) => ({ recipientId: "large", content: custom(bytes) });
    expect(await failureOf((o) => alice.chat.sendDirect(send(fits + 1), o))).toMatchObject({
      ...refusal("INVALID_ARGUMENT", "CONTENT_TOO_LARGE", "content"),
      metadata: { max_content_bytes: "65536" },
    });
    expect(await lastSeqWith("large")).toBe(0n);
    await alice.chat.sendDirect(send(fits));
    expect(await lastSeqWith("large")).toBe(1n);
  });

  test("B33: text may have 16,384 bytes, whatever the number of characters, and no more", async () => {
    const send = (body: string) => ({ recipientId: "long", content: text(body) });
    const full = ["a".repeat(16_384), "👋".repeat(4_096), `${"世".repeat(5_461)}a`];
    for (const body of full) {
      expect(Buffer.byteLength(body)).toBe(16_384);
      await alice.chat.sendDirect(send(body));
      expect(await failureOf((o) => alice.chat.sendDirect(send(`${body}a`), o))).toMatchObject(
        invalid("content.text.body"),
      );
      expect(await failureOf((o) => alice.chat.sendDirect(send(`👋${body}`), o))).toMatchObject(
        invalid("content.text.body"),
      );
    }
    const { messages } = await alice.messages.listMessages({
      target: { case: "recipientId", value: "long" },
    });
    expect(messages.map(({ content }) => content?.kind.value)).toEqual(
      full.map((body) => expect.objectContaining({ body })),
    );
  });

  test("B38: an empty request, empty content and empty text are refused", async () => {
    expect(await failureOf((o) => alice.chat.sendDirect({}, o))).toMatchObject({
      ...invalid("recipient_id"),
      violations: expect.arrayContaining([expect.objectContaining({ field: "content" })]),
    });
    const to = { recipientId: "bob" };
    expect(await failureOf((o) => alice.chat.sendDirect(to, o))).toMatchObject(invalid("content"));
    expect(await failureOf((o) => alice.chat.sendDirect({ ...to, content: {} }, o))).toMatchObject(
      invalid("content.kind"),
    );
    expect(await failureOf((o) => alice.chat.sendDirect({ ...to, content: text("") }, o))).toMatchObject(
      invalid("content.text.body"),
    );
    const fallbackText = "x".repeat(1_025);
    expect(
      await failureOf((o) => alice.chat.sendDirect({ ...to, content: { ...text("hi"), fallbackText } }, o)),
    ).toMatchObject(invalid("content.fallback_text"));
  });

  test.each<[string, string]>([
    ["composed", "caf\u00e9 \u212b"],
    ["decomposed", "cafe\u0301 A\u030a"],
    ["with a byte order mark", "\ufefftext\ufeff"],
    ["of zero-width characters only", "\u200b\u200d\u2060\ufeff"],
    ["of white space only", " \t\n "],
    ["with HTML", "<script>alert(1)</script>&amp;"],
    ["with ANSI escapes", "\u001b[2J\u001b[31mred\u0007"],
    ["with line ends of all kinds", "a\r\nb\nc\rd\u2028e\u0085f"],
    ["with a NUL", "a\0b"],
    ["with an RTL override", "\u202egnp.exe"],
    ["with JSON", '"}\n{"level":"fatal","msg":"forged"}'],
    ["of noncharacters", "\uffff\ufffe\u{10ffff}"],
    ["of combining marks", `Z${"\u0351".repeat(500)}`],
  ])("B33: text %s comes back byte for byte", async (_, body) => {
    const carol = await server.login("carol");
    const stream = carol.stream();
    await stream.open({ replayLimit: 0 });
    const { result } = await alice.chat.sendDirect({ recipientId: "carol", content: text(body) });
    const live = await stream.next("message", ({ messageId }) => messageId === result?.messageId);
    const { message: read } = await carol.messages.getMessage({ messageId: result?.messageId ?? "" });
    for (const { content } of [live, read as typeof live]) {
      const got = content?.kind.case === "text" ? content.kind.value.body : "";
      expect(Buffer.from(got).toString("hex")).toBe(Buffer.from(body).toString("hex"));
    }
    stream.cancel();
  });

  test.each<[string, object, string]>([
    ["a javascript: URL", { format: { case: "url", value: "javascript:alert(1)" } }, "url"],
    ["a JavaScript: URL in disguise", { format: { case: "url", value: " https://x" } }, "url"],
    ["a data: URL", { format: { case: "url", value: "data:text/html,x" } }, "url"],
    ["a relative URL", { format: { case: "url", value: "/x" } }, "url"],
    ["a URL with a newline", { format: { case: "url", value: "https://x\njavascript:y" } }, "url"],
    ["a URL of 2,049 bytes", { format: { case: "url", value: `https://x/${"y".repeat(2_039)}` } }, "url"],
    ["no style", { format: { case: "style", value: TextStyle.UNSPECIFIED } }, "style"],
    ["an unknown style", { format: { case: "style", value: 99 } }, "style"],
    ["no format", {}, "format"],
    ["a negative start", { start: -1, format: { case: "style", value: TextStyle.BOLD } }, "start"],
    ["no length", { length: 0, format: { case: "style", value: TextStyle.BOLD } }, "length"],
  ])("B45: an entity with %s is refused", async (_, entity, field) => {
    const value = { body: "click", entities: [{ start: 0, length: 5, ...entity }] };
    expect(
      await failureOf((o) =>
        alice.chat.sendDirect({ recipientId: "linked", content: { kind: { case: "text", value } } }, o),
      ),
    ).toMatchObject(invalid(`content.text.entities[0].${field}`));
    expect(await lastSeqWith("linked")).toBe(0n);
  });

  test("B29: more than 256 entities are refused", async () => {
    const entities = Array.from({ length: 257 }, () => ({
      length: 1,
      format: { case: "style" as const, value: TextStyle.BOLD },
    }));
    const content = { kind: { case: "text" as const, value: { body: "x", entities } } };
    expect(await failureOf((o) => alice.chat.sendDirect({ recipientId: "bob", content }, o))).toMatchObject(
      invalid("content.text.entities"),
    );
  });
});

describe("options", () => {
  const send = (options: object) => ({ recipientId: "opted", content: text("hi"), options });

  test.each<[string, Record<string, string>, string]>([
    ["17 labels", Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, ""])), "options.labels"],
    ["a label without a key", { "": "v" }, 'options.labels[""]'],
    ["a key of 65 bytes", { ["k".repeat(65)]: "v" }, `options.labels["${"k".repeat(65)}"]`],
    ["a value of 257 bytes", { k: "v".repeat(257) }, 'options.labels["k"]'],
  ])("%s are refused", async (_, labels, field) => {
    expect(await failureOf((o) => alice.chat.sendDirect(send({ labels }), o))).toMatchObject(invalid(field));
  });

  test("16 labels of the largest size are fine, with whatever keys", async () => {
    const labels = Object.fromEntries(
      [
        "constructor",
        "toString",
        "10",
        "9",
        "a\nb",
        "😀",
        ...Array.from({ length: 10 }, (_, i) => `${i}`.repeat(64)),
      ].map((key) => [key, "v".repeat(256)]),
    );
    const { result } = await alice.chat.sendDirect(send({ labels }));
    const { message } = await alice.messages.getMessage({ messageId: result?.messageId ?? "" });
    expect(message?.labels).toEqual(labels);
  });

  test("a label named __proto__ is a label as any", async () => {
    const entry = (key: string, value: string) =>
      field(4, field(4, Buffer.concat([field(1, Buffer.from(key)), field(2, Buffer.from(value))])));
    const request = encode(SendDirectRequestSchema, {
      recipientId: "bob",
      content: text("hi"),
      clientMessageId: "__proto__",
    });
    expect(
      await raw.unary(sendDirectPath, Buffer.concat([request, entry("__proto__", "v")])),
    ).toBeUndefined();
    // Sent again without the label it is another message.
    expect(await raw.unary(sendDirectPath, request)).toMatchObject(
      refusal("ALREADY_EXISTS", "CLIENT_MESSAGE_ID_REUSED"),
    );
  });

  test("B29: mentions of more than 100 users, or of one twice, are refused", async () => {
    const many = Array.from({ length: 101 }, (_, i) => `u${i}`);
    for (const mentionUserIds of [many, ["x", "x"]]) {
      expect(await failureOf((o) => alice.chat.sendDirect(send({ mentionUserIds }), o))).toMatchObject(
        invalid("options.mention_user_ids"),
      );
    }
  });

  test("a reply goes to a message of its own conversation that the sender may read, and to nothing else", async () => {
    const elsewhere = (await alice.chat.sendDirect({ recipientId: "bob", content: text("elsewhere") }))
      .result;
    await createGroup("replies", JoinPolicy.OPEN);
    const early = (await alice.chat.sendGroup({ groupId: "replies", content: text("early") })).result;
    await bob.groups.joinGroup({ groupId: "replies" });
    const before = await stateOf("replies");
    const reply = (replyToMessageId: string) => ({
      groupId: "replies",
      content: text("re"),
      options: { replyToMessageId },
    });
    for (const id of [elsewhere?.messageId ?? "", early?.messageId ?? "", nobodysMessage]) {
      expect(await failureOf((o) => bob.chat.sendGroup(reply(id), o))).toMatchObject(
        refusal("NOT_FOUND", "REPLY_TARGET_NOT_FOUND"),
      );
    }
    for (const id of ["nonsense", `${nobodysMessage}\n`, `{${nobodysMessage}}`]) {
      expect(await failureOf((o) => bob.chat.sendGroup(reply(id), o))).toMatchObject(
        invalid("options.reply_to_message_id"),
      );
    }
    expect(await stateOf("replies")).toEqual(before);
    // A UUID may be written in either case; readers get the one that message ids have.
    for (const id of [early?.messageId ?? "", early?.messageId.toUpperCase() ?? ""]) {
      const { result } = await alice.chat.sendGroup(reply(id));
      const { message } = await alice.messages.getMessage({
        messageId: result?.messageId.toUpperCase() ?? "",
      });
      expect(message).toMatchObject({ messageId: result?.messageId, replyToMessageId: early?.messageId });
    }
  });
});

describe("sends", () => {
  test("a user cannot send to themselves", async () => {
    expect(
      await failureOf((o) => alice.chat.sendDirect({ recipientId: "alice", content: text("me") }, o)),
    ).toMatchObject(refusal("INVALID_ARGUMENT", "RECIPIENT_IS_SENDER", "recipient_id"));
    expect(await lastSeqWith("alice")).toBe(0n);
  });

  test("B34: a client_message_id stands for one message: other content or another conversation is refused", async () => {
    const first = { recipientId: "once", content: text("first"), clientMessageId: "id\n\0 of mine" };
    const { result } = await alice.chat.sendDirect(first);
    await createGroup("once");
    const before = await stateOf("once");
    const reused = refusal("ALREADY_EXISTS", "CLIENT_MESSAGE_ID_REUSED");
    expect(
      await failureOf((o) => alice.chat.sendDirect({ ...first, content: text("second") }, o)),
    ).toMatchObject(reused);
    expect(
      await failureOf((o) => alice.chat.sendDirect({ ...first, options: { silent: true } }, o)),
    ).toMatchObject(reused);
    expect(await failureOf((o) => alice.chat.sendDirect({ ...first, recipientId: "bob" }, o))).toMatchObject(
      reused,
    );
    expect(
      await failureOf((o) => alice.chat.sendDirect({ ...first, recipientId: "unheard" }, o)),
    ).toMatchObject(reused);
    expect(
      await failureOf((o) =>
        alice.chat.sendGroup(
          { groupId: "once", content: first.content, clientMessageId: first.clientMessageId },
          o,
        ),
      ),
    ).toMatchObject(reused);
    expect(await lastSeqWith("once")).toBe(1n);
    expect(await lastSeqWith("unheard")).toBe(0n);
    expect(await stateOf("once")).toEqual(before);
    const again = await alice.chat.sendDirect(first);
    expect(again.result).toEqual({ ...result, duplicate: true });
  });

  test("B34: another sender's client_message_id is theirs alone", async () => {
    const clientMessageId = "shared";
    const [one, other] = await Promise.all([
      alice.chat.sendDirect({ recipientId: "carol", content: text("a"), clientMessageId }),
      bob.chat.sendDirect({ recipientId: "carol", content: text("b"), clientMessageId }),
    ]);
    expect([one.result?.duplicate, other.result?.duplicate]).toEqual([false, false]);
    expect(one.result?.messageId).not.toBe(other.result?.messageId);
  });

  test("a client_message_id of 129 bytes is refused, one of 128 is fine", async () => {
    const send = (length: number) => ({
      recipientId: "bob",
      content: text("hi"),
      clientMessageId: "m".repeat(length),
    });
    expect(await failureOf((o) => alice.chat.sendDirect(send(129), o))).toMatchObject(
      invalid("client_message_id"),
    );
    expect((await alice.chat.sendDirect(send(128))).result?.duplicate).toBe(false);
  });

  test("who is not a member of an OPEN group is told so, and the group stays as it is", async () => {
    await createGroup("open", JoinPolicy.OPEN);
    const before = await stateOf("open");
    expect(
      await failureOf((o) => bob.chat.sendGroup({ groupId: "open", content: text("hi") }, o)),
    ).toMatchObject(refusal("PERMISSION_DENIED", "NOT_A_MEMBER"));
    expect(await stateOf("open")).toEqual(before);
  });

  test.each([JoinPolicy.INVITE, JoinPolicy.CLOSED, JoinPolicy.APPROVAL])(
    "who is not a member of a group with join policy %i gets the answer of a group that does not exist",
    async (policy) => {
      const groupId = `hidden-${policy}`;
      const send = () => failureOf((o) => bob.chat.sendGroup({ groupId, content: text("hi") }, o));
      const absent = await send();
      await createGroup(groupId, policy);
      const before = await stateOf(groupId);
      expect(absent).toMatchObject(refusal("NOT_FOUND", "GROUP_NOT_FOUND"));
      expect(await send()).toEqual(absent);
      expect(await stateOf(groupId)).toEqual(before);
    },
  );
});

describe("groups", () => {
  test("joining twice is refused and changes nothing", async () => {
    await createGroup("twice", JoinPolicy.OPEN);
    await bob.groups.joinGroup({ groupId: "twice" });
    const before = await stateOf("twice");
    expect(await failureOf((o) => bob.groups.joinGroup({ groupId: "twice" }, o))).toMatchObject(
      refusal("ALREADY_EXISTS", "ALREADY_A_MEMBER"),
    );
    expect(await stateOf("twice")).toEqual(before);
  });

  test("the owner cannot leave, nor be removed by themselves, while the group is theirs", async () => {
    await createGroup("owned", JoinPolicy.OPEN, ["bob"]);
    const before = await stateOf("owned");
    const denied = refusal("FAILED_PRECONDITION", "OWNER_CANNOT_LEAVE");
    expect(await failureOf((o) => alice.groups.leaveGroup({ groupId: "owned" }, o))).toMatchObject(denied);
    expect(
      await failureOf((o) => alice.groups.removeMembers({ groupId: "owned", userIds: ["bob", "alice"] }, o)),
    ).toMatchObject(denied);
    expect(await stateOf("owned")).toEqual(before);
  });

  test("leaving twice, or a group one was never in, is refused", async () => {
    await createGroup("left", JoinPolicy.INVITE, ["bob"]);
    await bob.groups.leaveGroup({ groupId: "left" });
    const before = await stateOf("left");
    expect(await failureOf((o) => bob.groups.leaveGroup({ groupId: "left" }, o))).toMatchObject(
      refusal("NOT_FOUND", "GROUP_NOT_FOUND"),
    );
    expect(await stateOf("left")).toEqual(before);
  });

  test("a group id of another owner is taken, also after the group was disbanded", async () => {
    await createGroup("taken");
    const taken = refusal("ALREADY_EXISTS", "GROUP_ID_TAKEN");
    expect(await failureOf((o) => bob.groups.createGroup({ groupId: "taken" }, o))).toMatchObject(taken);
    await alice.groups.disbandGroup({ groupId: "taken" });
    for (const user of [alice, bob])
      expect(await failureOf((o) => user.groups.createGroup({ groupId: "taken" }, o))).toMatchObject(taken);
    for (const call of [alice.groups.getGroup, alice.groups.joinGroup, alice.groups.disbandGroup])
      expect(await failureOf((o) => call({ groupId: "taken" }, o))).toMatchObject(
        refusal("NOT_FOUND", "GROUP_NOT_FOUND"),
      );
  });

  test("B29: 501 users cannot be added or removed at once, 500 with repeats are added once each", async () => {
    await createGroup("many");
    const before = await stateOf("many");
    const userIds = Array.from({ length: 501 }, (_, i) => `user-${i}`);
    expect(await failureOf((o) => alice.groups.addMembers({ groupId: "many", userIds }, o))).toMatchObject(
      invalid("user_ids"),
    );
    expect(await failureOf((o) => alice.groups.removeMembers({ groupId: "many", userIds }, o))).toMatchObject(
      invalid("user_ids"),
    );
    expect(
      await failureOf((o) => alice.groups.createGroup({ groupId: "more", memberIds: userIds }, o)),
    ).toMatchObject(invalid("member_ids"));
    for (const none of [[], undefined])
      expect(
        await failureOf((o) => alice.groups.addMembers({ groupId: "many", userIds: none ?? [] }, o)),
      ).toMatchObject(invalid("user_ids"));
    expect(await stateOf("many")).toEqual(before);

    const repeated = Array.from({ length: 500 }, (_, i) => `user-${i % 3}`);
    const { members } = await alice.groups.addMembers({ groupId: "many", userIds: repeated });
    expect(members.map(({ userId }) => userId)).toEqual(["user-0", "user-1", "user-2"]);
    expect((await stateOf("many")).group?.memberCount).toBe(4);
  });

  test("removing somebody who is no member removes nobody", async () => {
    await createGroup("all-or-none", JoinPolicy.INVITE, ["bob"]);
    const before = await stateOf("all-or-none");
    expect(
      await failureOf((o) =>
        alice.groups.removeMembers({ groupId: "all-or-none", userIds: ["bob", "stranger"] }, o),
      ),
    ).toMatchObject(refusal("NOT_FOUND", "MEMBER_NOT_FOUND"));
    expect(await stateOf("all-or-none")).toEqual(before);
  });

  test("nobody is made OWNER but by TransferOwnership, and that only of a member", async () => {
    await createGroup("crown", JoinPolicy.INVITE, ["bob"]);
    const before = await stateOf("crown");
    const member = { groupId: "crown", userId: "bob", role: Role.OWNER };
    expect(
      await failureOf((o) => alice.groups.updateMember({ member, updateMask: { paths: ["role"] } }, o)),
    ).toMatchObject(invalid("member.role"));
    expect(
      await failureOf((o) =>
        alice.groups.addMembers({ groupId: "crown", userIds: ["eve"], role: Role.OWNER }, o),
      ),
    ).toMatchObject(invalid("role"));
    expect(
      await failureOf((o) => alice.groups.transferOwnership({ groupId: "crown", newOwnerId: "eve" }, o)),
    ).toMatchObject(refusal("NOT_FOUND", "MEMBER_NOT_FOUND"));
    expect(
      await failureOf((o) => bob.groups.transferOwnership({ groupId: "crown", newOwnerId: "bob" }, o)),
    ).toMatchObject(refusal("PERMISSION_DENIED", "ROLE_TOO_LOW"));
    expect(await stateOf("crown")).toEqual(before);
  });

  test("a plain member changes neither the group nor its members", async () => {
    await createGroup("plain", JoinPolicy.INVITE, ["bob", "carol"]);
    const before = await stateOf("plain");
    const low = refusal("PERMISSION_DENIED", "ROLE_TOO_LOW");
    const group = { groupId: "plain", name: "mine" };
    const member = { groupId: "plain", userId: "bob", role: Role.ADMIN };
    expect(
      await failureOf((o) => bob.groups.updateGroup({ group, updateMask: { paths: ["name"] } }, o)),
    ).toMatchObject(low);
    expect(
      await failureOf((o) => bob.groups.updateMember({ member, updateMask: { paths: ["role"] } }, o)),
    ).toMatchObject(low);
    expect(
      await failureOf((o) =>
        bob.groups.addMembers({ groupId: "plain", userIds: ["eve"], role: Role.ADMIN }, o),
      ),
    ).toMatchObject(low);
    expect(
      await failureOf((o) => bob.groups.removeMembers({ groupId: "plain", userIds: ["carol"] }, o)),
    ).toMatchObject(low);
    expect(await failureOf((o) => bob.groups.disbandGroup({ groupId: "plain" }, o))).toMatchObject(low);
    expect(await stateOf("plain")).toEqual(before);
  });

  test.each([
    "owner_id",
    "group_id",
    "member_count",
    "seq",
    "group.name",
    "joinPolicy",
    "NAME",
    "*",
    "",
    "__proto__",
    "constructor",
    "attributes.x",
  ])("an update mask with the path %j is refused whole", async (path) => {
    const { group: made } = await alice.groups.createGroup({ memberIds: ["bob"] });
    const groupId = made?.groupId ?? "";
    const before = await stateOf(groupId);
    const updateMask = { paths: ["name", path] };
    const group = { groupId, name: "changed", ownerId: "bob" };
    expect(await failureOf((o) => alice.groups.updateGroup({ group, updateMask }, o))).toMatchObject(
      refusal("INVALID_ARGUMENT", "FIELD_NOT_UPDATABLE", "update_mask"),
    );
    const member = { groupId, userId: "bob", role: Role.ADMIN };
    expect(
      await failureOf((o) => alice.groups.updateMember({ member, updateMask: { paths: ["role", path] } }, o)),
    ).toMatchObject(refusal("INVALID_ARGUMENT", "FIELD_NOT_UPDATABLE", "update_mask"));
    expect(await stateOf(groupId)).toEqual(before);
  });

  test("an update without a mask, or with an empty one, is refused", async () => {
    await createGroup("unmasked", JoinPolicy.INVITE, ["bob"]);
    const before = await stateOf("unmasked");
    const group = { groupId: "unmasked", name: "changed" };
    const member = { groupId: "unmasked", userId: "bob", role: Role.ADMIN };
    expect(await failureOf((o) => alice.groups.updateGroup({ group }, o))).toMatchObject(
      invalid("update_mask"),
    );
    expect(await failureOf((o) => alice.groups.updateMember({ member }, o))).toMatchObject(
      invalid("update_mask"),
    );
    const empty = refusal("INVALID_ARGUMENT", "FIELD_NOT_UPDATABLE", "update_mask");
    expect(await failureOf((o) => alice.groups.updateGroup({ group, updateMask: {} }, o))).toMatchObject(
      empty,
    );
    expect(await failureOf((o) => alice.groups.updateMember({ member, updateMask: {} }, o))).toMatchObject(
      empty,
    );
    expect(
      await failureOf((o) => alice.groups.updateGroup({ updateMask: { paths: ["name"] } }, o)),
    ).toMatchObject(invalid("group"));
    expect(await stateOf("unmasked")).toEqual(before);
  });

  test("B39: unknown values of enums are refused", async () => {
    await createGroup("enums", JoinPolicy.INVITE, ["bob"]);
    const before = await stateOf("enums");
    expect(
      await failureOf((o) => alice.groups.createGroup({ joinPolicy: 77 as JoinPolicy }, o)),
    ).toMatchObject(invalid("join_policy"));
    const group = { groupId: "enums", joinPolicy: -1 as JoinPolicy };
    expect(
      await failureOf((o) => alice.groups.updateGroup({ group, updateMask: { paths: ["join_policy"] } }, o)),
    ).toMatchObject(invalid("group.join_policy"));
    const member = { groupId: "enums", userId: "bob", role: 42 as Role };
    expect(
      await failureOf((o) => alice.groups.updateMember({ member, updateMask: { paths: ["role"] } }, o)),
    ).toMatchObject(invalid("member.role"));
    expect(await failureOf((o) => alice.groups.addMembers({ ...member, userIds: ["eve"] }, o))).toMatchObject(
      invalid("role"),
    );
    const credential = { case: "devUserId", value: "alice" } as const;
    expect(
      await failureOf((o) =>
        server.as({}).chat.login({ credential, device: { platform: 99 as Platform } }, o),
      ),
    ).toMatchObject(invalid("device.platform"));
    expect(await stateOf("enums")).toEqual(before);
  });

  test("names and attributes above their limits are refused", async () => {
    const attributes = (count: number, key: string, value: string) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}${key}`, value]));
    const wrong: Array<[object, string]> = [
      [{ name: "n".repeat(257) }, "name"],
      [{ memberLimit: -1 }, "member_limit"],
      [{ attributes: attributes(65, "", "") }, "attributes"],
      [{ attributes: { k: "v".repeat(1_025) } }, 'attributes["k"]'],
      [{ attributes: { "": "v" } }, 'attributes[""]'],
    ];
    for (const [settings, field] of wrong)
      expect(await failureOf((o) => alice.groups.createGroup(settings, o))).toMatchObject(invalid(field));
  });

  test("B45: an id with markup or JSON stays what it is, in the log too, and makes no line of its own", async () => {
    for (const id of ['"},{"level":"fatal","msg":"forged"}', "<script>alert(1)</script>", "%0a{}"]) {
      const user = await server.login(id);
      expect(user.userId).toBe(id);
      const before = server.logs.length;
      await user.conversations.listConversations({});
      expect(server.logs.slice(before)).toMatchObject([{ level: "info", code: "OK", user: id }]);
    }
    expect(server.logs.filter(({ msg }) => msg === "forged")).toEqual([]);
  });

  test("B45: a group name with a newline, JSON and ANSI escapes stays what it is", async () => {
    const name = 'x\n{"level":"fatal"}\u001b[31m<script>';
    const { group } = await alice.groups.createGroup({ name });
    expect((await alice.groups.getGroup({ groupId: group?.groupId ?? "" })).group?.name).toBe(name);
  });

  describe.each([
    ["beyond 64 bits of milliseconds", { seconds: maxInt64 }],
    ["before the year 1", { seconds: -maxInt64 }],
    ["with negative nanoseconds", { seconds: 1_000n, nanos: -1 }],
    ["after the year 9999", { seconds: 253_402_300_800n }],
  ])("a mute until a time %s", (_, mutedUntilTime) => {
    test("is refused and mutes nobody", async () => {
      const { group } = await alice.groups.createGroup({ memberIds: ["bob"] });
      const groupId = group?.groupId ?? "";
      const before = await stateOf(groupId);
      const member = { groupId, userId: "bob", mutedUntilTime };
      const updateMask = { paths: ["muted_until_time"] };
      expect(await failureOf((o) => alice.groups.updateMember({ member, updateMask }, o))).toMatchObject(
        invalid("member.muted_until_time"),
      );
      expect(await stateOf(groupId)).toEqual(before);
    });
  });

  test("creating a group again is refused, to its owner too", async () => {
    await createGroup("again", JoinPolicy.INVITE, ["bob"]);
    const failure = await failureOf((o) => alice.groups.createGroup({ groupId: "again" }, o));
    expect(failure).toMatchObject({ code: "ALREADY_EXISTS", reasonName: "GROUP_ID_TAKEN" });
  });
});

describe("lists", () => {
  type Lists = Record<string, (page: { pageSize?: number; pageToken?: string }) => Promise<Failure>>;
  const lists: Lists = {
    listMessages: (page) =>
      failureOf((o) =>
        alice.messages.listMessages({ target: { case: "groupId", value: "listed" }, ...page }, o),
      ),
    listMembers: (page) => failureOf((o) => alice.groups.listMembers({ groupId: "listed", ...page }, o)),
    listMyGroups: (page) => failureOf((o) => alice.groups.listMyGroups(page, o)),
    listConversations: (page) => failureOf((o) => alice.conversations.listConversations(page, o)),
  };
  const tokens: Record<string, string> = {};

  beforeAll(async () => {
    await createGroup("listed", JoinPolicy.OPEN, ["bob", "carol"]);
    await createGroup("listed-2", JoinPolicy.OPEN, ["bob", "carol"]);
    for (const groupId of ["listed", "listed-2"])
      for (const body of ["1", "2", "3"]) await alice.chat.sendGroup({ groupId, content: text(body) });
    const target = { case: "groupId", value: "listed" } as const;
    const [messages, members, groups, conversations] = await Promise.all([
      alice.messages.listMessages({ target, pageSize: 1 }),
      alice.groups.listMembers({ groupId: "listed", pageSize: 1 }),
      alice.groups.listMyGroups({ pageSize: 1 }),
      alice.conversations.listConversations({ pageSize: 1 }),
    ]);
    tokens.listMessages = messages.nextPageToken;
    tokens.listMembers = members.nextPageToken;
    tokens.listMyGroups = groups.nextPageToken;
    tokens.listConversations = conversations.nextPageToken;
  });

  test.each(Object.keys(lists))("%s refuses page sizes below 0 and above 1,000", async (name) => {
    for (const pageSize of [-1, 1_001, maxInt32, -maxInt32 - 1])
      expect(await lists[name]?.({ pageSize })).toMatchObject(invalid("page_size"));
  });

  test("a page size of 0 means the default, and 1,000 is fine", async () => {
    for (const pageSize of [0, 1_000]) {
      const { members } = await alice.groups.listMembers({ groupId: "listed", pageSize });
      expect(members).toHaveLength(3);
    }
  });

  const wrong = refusal("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN", "page_token");

  test.each(Object.keys(lists))(
    "%s refuses tokens that are made up, cut or of another list",
    async (name) => {
      const own = tokens[name] ?? "";
      const others = Object.keys(tokens).filter((other) => other !== name);
      const flipped = `${own[0] === "A" ? "B" : "A"}${own.slice(1)}`;
      const tried = [
        "forged",
        "A".repeat(512),
        "💥",
        " ",
        own.slice(0, -2),
        own.slice(2),
        flipped,
        own + own,
      ];
      for (const pageToken of [...tried, ...others.map((other) => tokens[other] ?? "")])
        expect({ pageToken, ...(await lists[name]?.({ pageToken })) }).toMatchObject(wrong);
      expect(await lists[name]?.({ pageToken: "A".repeat(513) })).toMatchObject(invalid("page_token"));
    },
  );

  test("a token is good for its own user, its own conversation and its own bounds only", async () => {
    const pageToken = tokens.listMessages ?? "";
    const listed = { case: "groupId", value: "listed" } as const;
    const other = { case: "groupId", value: "listed-2" } as const;
    const { nextPageToken } = await alice.messages.listMessages({ target: listed, pageToken, pageSize: 1 });
    expect(nextPageToken).not.toBe("");
    expect(await failureOf((o) => bob.messages.listMessages({ target: listed, pageToken }, o))).toMatchObject(
      wrong,
    );
    expect(
      await failureOf((o) => alice.messages.listMessages({ target: other, pageToken }, o)),
    ).toMatchObject(wrong);
    expect(
      await failureOf((o) => alice.messages.listMessages({ target: listed, pageToken, afterSeq: 1n }, o)),
    ).toMatchObject(wrong);
    const list = tokens.listConversations ?? "";
    expect(
      await failureOf((o) => alice.conversations.listConversations({ pageToken: list, unreadOnly: true }, o)),
    ).toMatchObject(wrong);
  });

  test("B35: bounds of history may be as high as they like, and no lower than 0", async () => {
    const target = { case: "groupId", value: "listed" } as const;
    const past = { seconds: -maxInt64 };
    const future = { seconds: maxInt64, nanos: maxInt32 };
    const counts = await Promise.all(
      [
        { afterSeq: maxInt64 },
        { beforeSeq: maxInt64 },
        { afterSeq: 3n, beforeSeq: 2n },
        { afterSeq: maxInt64, beforeSeq: 0n },
        { beforeSeq: 0n },
      ].map(async (bounds) => (await alice.messages.listMessages({ target, ...bounds })).messages.length),
    );
    expect(counts).toEqual([0, 3, 0, 0, 0]);
    const times = await Promise.all(
      [{ afterTime: past }, { beforeTime: future }, { afterTime: future }, { beforeTime: past }].map(
        async (bounds) => (await alice.messages.listMessages({ target, ...bounds })).messages.length,
      ),
    );
    expect(times).toEqual([3, 3, 0, 0]);
    expect(await failureOf((o) => alice.messages.listMessages({ target, afterSeq: -1n }, o))).toMatchObject(
      invalid("after_seq"),
    );
    expect(await failureOf((o) => alice.messages.listMessages({ target, beforeSeq: -1n }, o))).toMatchObject(
      invalid("before_seq"),
    );
  });

  test("a message to list around has to exist in the conversation, and goes with no other bound", async () => {
    const target = { case: "groupId", value: "listed" } as const;
    const { messages } = await alice.messages.listMessages({
      target: { case: "groupId", value: "listed-2" },
    });
    const elsewhere = messages[0]?.messageId ?? "";
    for (const aroundMessageId of [elsewhere, nobodysMessage])
      expect(
        await failureOf((o) => alice.messages.listMessages({ target, aroundMessageId }, o)),
      ).toMatchObject(refusal("NOT_FOUND", "MESSAGE_NOT_FOUND"));
    for (const aroundMessageId of ["", "nonsense"])
      expect(
        await failureOf((o) => alice.messages.listMessages({ target, aroundMessageId }, o)),
      ).toMatchObject(invalid("around_message_id"));
    expect(
      await failureOf((o) =>
        alice.messages.listMessages({ target, aroundMessageId: elsewhere, afterSeq: 1n }, o),
      ),
    ).toMatchObject({
      ...refusal("INVALID_ARGUMENT", "INVALID_REQUEST"),
      violations: [expect.objectContaining({ rule: "list_messages.around_alone" })],
    });
    expect(await failureOf((o) => alice.messages.listMessages({}, o))).toMatchObject(invalid("target"));
    for (const messageId of ["", "nonsense", `${elsewhere}x`])
      expect(await failureOf((o) => alice.messages.getMessage({ messageId }, o))).toMatchObject(
        invalid("message_id"),
      );
  });

  test("B29: presence is asked of 1 to 500 users", async () => {
    const userIds = Array.from({ length: 501 }, (_, i) => `u${i}`);
    for (const ids of [[], userIds])
      expect(await failureOf((o) => alice.presence.getPresence({ userIds: ids }, o))).toMatchObject(
        invalid("user_ids"),
      );
    const { presences } = await alice.presence.getPresence({ userIds: userIds.slice(1) });
    expect(presences.map(({ userId }) => userId)).toEqual(userIds.slice(1));
  });
});

describe("what was read", () => {
  test("is never below 0, never above the last seq, and never goes back", async () => {
    for (const body of ["1", "2", "3"])
      await bob.chat.sendDirect({ recipientId: "reader", content: text(body) });
    const reader = await server.login("reader");
    const conversationId = "d:bob:reader";
    const mark = (upToSeq: bigint) => reader.conversations.markRead({ conversationId, upToSeq });
    const read = async () => (await reader.conversations.listConversations({})).conversations[0];
    const failing = (upToSeq: bigint) =>
      failureOf((o) => reader.conversations.markRead({ conversationId, upToSeq }, o));
    expect(await failing(-1n)).toMatchObject(invalid("up_to_seq"));
    for (const above of [4n, maxInt64])
      expect(await failing(above)).toMatchObject(refusal("INVALID_ARGUMENT", "SEQ_IN_FUTURE"));
    expect(await read()).toMatchObject({ readSeq: 0n, unreadCount: 3 });
    expect((await mark(2n)).conversation).toMatchObject({ readSeq: 2n, unreadCount: 1 });
    expect((await mark(1n)).conversation).toMatchObject({ readSeq: 2n, unreadCount: 1 });
    expect((await mark(0n)).conversation).toMatchObject({ readSeq: 2n, unreadCount: 1 });
    expect(await failing(-1n)).toMatchObject(invalid("up_to_seq"));
    expect(await read()).toMatchObject({ readSeq: 2n, unreadCount: 1 });
  });

  test.each([
    "d:alice:bob:carol",
    "d:bob:alice",
    "d::",
    "g:",
    "nonsense",
    "d:carol:dave",
    "g:nowhere",
    "\0",
    "💥",
  ])("cannot be said of %j, which is no conversation of the caller", async (conversationId) => {
    expect(
      await failureOf((o) => alice.conversations.markRead({ conversationId, upToSeq: 0n }, o)),
    ).toMatchObject(refusal("NOT_FOUND", "CONVERSATION_NOT_FOUND"));
    expect(
      await failureOf((o) =>
        alice.messages.listMessages({ target: { case: "conversationId", value: conversationId } }, o),
      ),
    ).toMatchObject(refusal("NOT_FOUND", "CONVERSATION_NOT_FOUND"));
  });

  test("an empty conversation id, and one of 1,025 bytes, are refused", async () => {
    for (const conversationId of ["", "d".repeat(1_025)])
      expect(await failureOf((o) => alice.conversations.markRead({ conversationId }, o))).toMatchObject(
        invalid("conversation_id"),
      );
  });
});

describe("bytes that are no request", () => {
  const valid = encode(SendDirectRequestSchema, { recipientId: "wired", content: text("hi") });
  const undecodable = refusal("INVALID_ARGUMENT", "UNDECODABLE_REQUEST");

  function nested(depth: number): Uint8Array {
    // Groups nest without lengths, so that 50,000 levels fit into a request.
    return Buffer.concat([Buffer.alloc(depth, 0x7b), Buffer.alloc(depth, 0x7c)]);
  }

  const cases: Record<string, Uint8Array> = {
    "cut off": valid.subarray(0, -1),
    "with a length beyond the end": Uint8Array.of(0x0a, 0xff, 0xff, 0x03, 0x61),
    "with a length of 4 GB": Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f),
    "with the wire type of another field kind": Uint8Array.of(0x08, 0x01),
    "with wire type 7": Uint8Array.of(0x0f, 0x01),
    "with field number 0": Uint8Array.of(0x02, 0x00),
    "with a varint of 11 bytes": Uint8Array.of(0x18, ...Array.from({ length: 10 }, () => 0xff), 0x01),
    "with a group that nobody ends": Uint8Array.of(0x7b),
    "with the end of no group": Uint8Array.of(0x7c),
    "nested 50,000 deep": nested(50_000),
    "with invalid UTF-8 in an id": Buffer.concat([field(1, Uint8Array.of(0x62, 0xff, 0xfe)), valid]),
    "with half a character in an id": Buffer.concat([valid, field(1, Uint8Array.of(0xe4, 0xb8))]),
    "with a surrogate in the text": Buffer.concat([
      valid,
      field(2, field(1, field(1, Uint8Array.of(0xed, 0xa0, 0x80)))),
    ]),
    "with invalid UTF-8 in a label": Buffer.concat([
      valid,
      field(4, field(4, Buffer.concat([field(1, Uint8Array.of(0xff)), field(2, Uint8Array.of(0x61))]))),
    ]),
    "of noise": Uint8Array.from({ length: 4_096 }, (_, i) => (i * 197 + 11) & 0xff),
  };

  test.each(Object.entries(cases))(
    "B11, B12, B26: a request %s is refused and has no effect",
    async (_, bytes) => {
      expect(await raw.unary(sendDirectPath, bytes)).toMatchObject(undecodable);
      expect(await lastSeqWith("wired")).toBe(0n);
    },
  );

  test.each(Object.entries(cases))(
    "B11, B12, B26: a request %s on a stream is refused, and the stream goes on",
    async (_, bytes) => {
      const stream = raw.stream();
      const asSendDirect = field(3, bytes);
      stream.send(asSendDirect);
      await stream.received(1);
      stream.send(encode(StreamRequestSchema, { request: { case: "open", value: { replayLimit: 0 } } }));
      await stream.received(3);
      stream.send(asSendDirect);
      stream.send(encode(StreamRequestSchema, { requestId: "after", request: { case: "ping", value: {} } }));
      const answered = () =>
        stream.events.filter(({ event }) => ["refusal", "pong"].includes(event.case ?? ""));
      await stream.received(5);
      expect(answered().map(({ event, requestId }) => [event.case, requestId])).toEqual([
        ["refusal", ""],
        ["refusal", ""],
        ["pong", "after"],
      ]);
      expect(stream.failure()).toBeUndefined();
      stream.cancel();
      expect(await lastSeqWith("wired")).toBe(0n);
    },
  );

  test("B27: unknown fields are dropped: 20,000 of them do no harm and make no other message", async () => {
    const send = { recipientId: "unknown", content: text("hi"), clientMessageId: "unknown fields" };
    const unknown = Buffer.concat(Array.from({ length: 20_000 }, () => Uint8Array.of(0xf8, 0x3f, 0x01)));
    const request = Buffer.concat([encode(SendDirectRequestSchema, send), unknown]);
    expect(await raw.unary(sendDirectPath, request)).toBeUndefined();
    expect((await alice.chat.sendDirect(send)).result?.duplicate).toBe(true);
  });

  test("B30: of a field given twice the last is checked and used, not the first", async () => {
    const first = encode(SendDirectRequestSchema, { recipientId: "first", content: text("hi") });
    const last = (recipientId: string) => field(1, Buffer.from(recipientId));
    expect(await raw.unary(sendDirectPath, Buffer.concat([first, last("last")]))).toBeUndefined();
    expect([await lastSeqWith("first"), await lastSeqWith("last")]).toEqual([0n, 1n]);
    expect(await raw.unary(sendDirectPath, Buffer.concat([first, last("bad\n")]))).toMatchObject(
      invalid("recipient_id"),
    );
    expect(await raw.unary(sendDirectPath, Buffer.concat([first, last("alice")]))).toMatchObject(
      refusal("INVALID_ARGUMENT", "RECIPIENT_IS_SENDER", "recipient_id"),
    );
  });

  test("B38: content of a kind the server does not know is no content", async () => {
    const request = Buffer.concat([field(1, Buffer.from("bob")), field(2, field(14, Buffer.from("poll")))]);
    expect(await raw.unary(sendDirectPath, request)).toMatchObject(invalid("content.kind"));
  });

  test("custom content is kept unopened, even if it is not what it says", async () => {
    const value = Uint8Array.of(0xff, 0x00, 0xfe);
    const custom = create(AnySchema, { typeUrl: "parlance.chat.v1/parlance.chat.v1.Content", value });
    const { result } = await alice.chat.sendDirect({
      recipientId: "bob",
      content: { kind: { case: "custom", value: custom } },
    });
    const { message } = await bob.messages.getMessage({ messageId: result?.messageId ?? "" });
    expect(message?.content?.kind).toEqual({ case: "custom", value: custom });
  });
});
