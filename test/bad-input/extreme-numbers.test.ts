/** Every number of every request at the ends of its type and around its limits, on both stores. */

import {
  create,
  type DescField,
  type DescMessage,
  type DescMethod,
  type MessageInitShape,
  ScalarType,
} from "@bufbuild/protobuf";
import { FieldMaskSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { type CallOptions, ClientError, type Metadata, Status } from "nice-grpc";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ListenResponse } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { PageTokens } from "../../src/chat/page-tokens.ts";
import { readErrorDetails, statusDetailsKey } from "../../wire/error-details.ts";
import { messageIdOf } from "../../wire/ids.ts";
import { chatServices } from "../../wire/services.ts";
import { describeWithPostgres, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";

const minInt64 = -(2n ** 63n);
const maxInt64 = 2n ** 63n - 1n;
const ints = [-(2 ** 31), -1, 0, 1, 499, 500, 501, 999, 1_000, 1_001, 9_999, 10_000, 10_001, 2 ** 31 - 1];
const bigints = [
  minInt64,
  -1n,
  0n,
  1n,
  2n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  maxInt64 - 1n,
  maxInt64,
];
const ends = [-62_135_596_801n, -62_135_596_800n, 253_402_300_799n, 253_402_300_800n];
const times = [...bigints, ...ends].flatMap((seconds) =>
  [-(2 ** 31), -1, 0, 999_999_999, 1_000_000_000, 2 ** 31 - 1].map((nanos) => ({ seconds, nanos })),
);

/** The values to try for a field; none when it holds no number. */
function extremesOf(field: DescField): readonly unknown[] {
  const list = field.fieldKind === "list";
  if (field.fieldKind === "enum" || (list && field.listKind === "enum"))
    return [-(2 ** 31), -1, 0, 1, 99, 2 ** 31 - 1].map((value) => (list ? [value] : value));
  if (field.fieldKind === "message" && /\.(Timestamp|Duration)$/.test(field.message.typeName)) return times;
  if (field.fieldKind !== "scalar") return [];
  switch (field.scalar) {
    case ScalarType.INT32:
    case ScalarType.UINT32:
      return ints;
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return bigints;
    default:
      return [];
  }
}

/** The changes that put an extreme into a message, each for a base that has the message. */
function* changesOf(schema: DescMessage, path: string[] = []): Generator<{ path: string[]; value: unknown }> {
  for (const field of schema.fields) {
    const at = field.oneof ? [...path, field.oneof.localName] : [...path, field.localName];
    for (const value of extremesOf(field))
      yield { path: at, value: field.oneof ? { case: field.localName, value } : value };
    const isOwn = field.fieldKind === "message" && field.message.typeName.startsWith("parlance.");
    if (isOwn && path.length < 4) yield* changesOf(field.message, field.oneof ? [...at, "value"] : at);
  }
}

/** Returns a copy with a value put in; undefined where the base has nothing to put it into. */
function changed(base: object, [name = "", ...rest]: string[], value: unknown): object | undefined {
  if (rest.length === 0) return { ...base, [name]: value };
  const inner = (base as Record<string, object | undefined>)[name];
  const copy = typeof inner === "object" ? changed(inner, rest, value) : undefined;
  return copy && { ...base, [name]: copy };
}

interface Side {
  server: TestServer;
  ada: UserClients;
  epoch: string;
  salt: number;
  messageId: string;
}

/** A request for each method that is answered OK. Every message field with numbers in it is there. */
function basesOf({ epoch, messageId }: Side): Record<string, object[]> {
  const content = text("x");
  const entity = { start: 0, length: 1, format: { case: "style", value: 1 } };
  const styled = { kind: { case: "text", value: { body: "x", entities: [entity] } } };
  const direct = { recipientId: "ben", content: styled, options: {} };
  const group = { groupId: "g", memberLimit: 10 };
  const open = { resumeFrom: { epoch, position: 0n }, replayLimit: 0, eventKinds: [1] };
  const target = { case: "recipientId", value: "ben" };
  return {
    Login: [{ credential: { case: "devUserId", value: "ada" }, device: { deviceId: "x", platform: 1 } }],
    SendDirect: [direct],
    SendGroup: [{ groupId: "g", content }],
    Listen: [{ open }],
    Ack: [{ cursor: { epoch, position: 0n } }],
    SetTyping: [{ target }],
    CreateGroup: [{ groupId: "h" }],
    GetGroup: [{ groupId: "g" }],
    UpdateGroup: ["member_limit", "join_policy"].map((path) => ({
      group,
      updateMask: create(FieldMaskSchema, { paths: [path] }),
    })),
    AddMembers: [{ groupId: "g", userIds: ["ben"] }],
    UpdateMember: ["role", "muted_until_time"].map((path) => ({
      member: { groupId: "g", userId: "ben", role: 3, mutedUntilTime: create(TimestampSchema) },
      updateMask: create(FieldMaskSchema, { paths: [path] }),
    })),
    ListMembers: [{ groupId: "g" }],
    BatchGetMembers: [{ groupId: "g", userIds: ["ben"] }],
    ListMyGroups: [{}],
    ListConversations: [{}],
    GetConversation: [{ target }],
    MarkRead: [{ conversationId: "d:ada:ben" }],
    MarkAllRead: [{}],
    GetMessage: [{ messageId }],
    ListMessages: [{ target }, { target, afterSeq: 1n }, { target, beforeSeq: 2n }],
    GetPresence: [{ userIds: ["ben"] }],
  };
}

const methods: DescMethod[] = chatServices.flatMap((service): DescMethod[] => service.methods);

/** Makes a call and tells how it went, in words that are the same on every store. */
async function outcomeOf({ ada }: Side, method: DescMethod, request: object): Promise<string> {
  const clients: Record<string, Record<string, unknown>> = {
    ChatService: ada.chat as never,
    GroupService: ada.groups as never,
    ConversationService: ada.conversations as never,
    MessageService: ada.messages as never,
    PresenceService: ada.presence as never,
  };
  let trailer: Metadata | undefined;
  const abort = new AbortController();
  const options: CallOptions = {
    onTrailer: (metadata) => {
      trailer = metadata;
    },
    signal: abort.signal,
  };
  const call = clients[method.parent.name]?.[method.localName] as (
    request: MessageInitShape<DescMessage>,
    options: CallOptions,
  ) => Promise<object> | AsyncIterable<ListenResponse>;
  try {
    const answer = call(request as never, options);
    if (!(Symbol.asyncIterator in answer)) return `OK ${plain(await answer)}`;
    for await (const { events } of answer) return `OK ${events[0]?.event.case}`;
    return "OK";
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    const details = readErrorDetails(trailer?.get(statusDetailsKey) as Uint8Array | undefined);
    return [Status[error.code], details.reasonName, ...details.violations.map(({ field }) => field)].join(
      " ",
    );
  } finally {
    abort.abort();
  }
}

const varying = /^(messageId|acceptTime|sessionToken|sessionId|expireTime|nextPageToken|epoch|\w+Time)$/;

/** An answer without what differs from run to run. */
function plain(answer: object): string {
  return JSON.stringify(answer, (key, value: unknown) =>
    varying.test(key) ? undefined : typeof value === "bigint" ? String(value) : value,
  );
}

describeWithPostgres("B47: on either store", () => {
  let postgres: TestPostgres;
  let sides: [Side, Side];
  beforeAll(async () => {
    postgres = await startPostgres();
    const databaseUrl = await postgres.createDatabase();
    const start = async (server: TestServer): Promise<Side> => {
      const ada = await server.login("ada");
      await ada.groups.createGroup({ groupId: "g", memberIds: ["ben"] });
      await ada.groups.createGroup({ groupId: "i" });
      for (const body of ["one", "two", "three"])
        await ada.chat.sendDirect({ recipientId: "ben", content: text(body) });
      const target = { case: "recipientId" as const, value: "ben" };
      const page = await ada.messages.listMessages({ target, pageSize: 1 });
      const messageId = page.messages[0]?.messageId as string;
      const stream = ada.stream();
      const { cursor } = await stream.open();
      stream.cancel();
      const epoch = cursor?.epoch as string;
      return { server, ada, epoch, messageId, salt: saltOf(epoch, messageId, page.nextPageToken) };
    };
    sides = [await start(await startTestServer()), await start(await startTestServer({ databaseUrl }))];
  });
  afterAll(async () => {
    for (const { server } of sides ?? []) await server.close();
    await postgres?.close();
  });

  /** Makes the same calls on both, in the same order, and expects the same answers, none of them a failure of the server. */
  async function expectSame(requestsOf: (side: Side) => [DescMethod, object][]): Promise<number> {
    const [one, other] = sides;
    const others = requestsOf(other);
    const wrong: unknown[] = [];
    const requests = requestsOf(one);
    for (const [n, [method, request]] of requests.entries()) {
      const outcomes = await Promise.all([
        outcomeOf(one, method, request),
        outcomeOf(other, method, others[n]?.[1] as object),
      ]);
      const failed = outcomes.some((outcome) => /^(INTERNAL|UNKNOWN|UNAVAILABLE)/.test(outcome));
      if (failed || outcomes[0] !== outcomes[1]) wrong.push([method.name, request, outcomes]);
    }
    expect(wrong).toEqual([]);
    return requests.length;
  }

  const numbered = methods.filter(
    ({ input }) => !changesOf(input).next().done && input.name !== "StreamRequest",
  );

  test.each(numbered.map((method) => [method.name, method] as const))(
    "the extreme numbers of %s get the same answers, and none is a failure of the server",
    async (name, method) => {
      const tried = await expectSame((side) => {
        const bases = basesOf(side)[name] ?? [];
        return [...changesOf(method.input)].flatMap(({ path, value }) =>
          bases.flatMap((base) => {
            const request = changed(base, path, value);
            return request === undefined ? [] : [[method, request] as [DescMethod, object]];
          }),
        );
      });
      expect(tried).toBeGreaterThan(0);
    },
    60_000,
  );

  test("page tokens forged by one who knows how they are made are refused", async () => {
    const values = [
      "",
      "x",
      "-1",
      "1e9",
      "1.5",
      "0x10",
      " 1",
      "NaN",
      "Infinity",
      "9".repeat(15),
      "9".repeat(40),
    ];
    const ids = ["\0", "a\0b", "\u0007", "x".repeat(200), "\ufffd"];
    const lists: Record<string, { base: object; scope: string[] }> = {
      ListMessages: {
        base: { target: { case: "recipientId", value: "ben" } },
        scope: ["d:ada:ben", "undefined", "undefined", "undefined", "undefined"],
      },
      ListConversations: { base: {}, scope: ["false"] },
      ListMembers: { base: { groupId: "g" }, scope: ["g"] },
      ListMyGroups: { base: {}, scope: [] },
    };
    const found = methods.filter(({ input }) => input.fields.some(({ name }) => name === "page_token"));
    expect(found.map(({ name }) => name).sort()).toEqual(Object.keys(lists).sort());
    await expectSame((side) =>
      found.flatMap((method) =>
        [...values, ...ids].map((value): [DescMethod, object] => {
          const { base, scope } = lists[method.name] as (typeof lists)[string];
          const tokens = new PageTokens(`${side.epoch}/${side.salt}`);
          return [method, { ...base, pageToken: tokens.make([method.name, "ada", ...scope], value) }];
        }),
      ),
    );
  });

  test("message ids that name the ends of the log and of time are of no message", async () => {
    const places = [0, 1, 2 ** 48 - 1].flatMap((timeMs) =>
      [0, 1, 2 ** 52 - 1].map((position): [number, number] => [timeMs, position]),
    );
    const named = (name: string) => methods.find((method) => method.name === name) as DescMethod;
    await expectSame((side) =>
      places.flatMap(([timeMs, position]): [DescMethod, object][] => {
        const messageId = messageIdOf(timeMs, side.salt, position);
        const target = { case: "recipientId", value: "ben" };
        const options = { replyToMessageId: messageId };
        return [
          [named("GetMessage"), { messageId }],
          [named("ListMessages"), { target, aroundMessageId: messageId }],
          [named("SendDirect"), { recipientId: "ben", content: text("x"), options }],
        ];
      }),
    );
  });
});

/** Finds the store's salt, of which an id tells a part, by the page token that it makes. */
function saltOf(epoch: string, messageId: string, token: string): number {
  const low = Number.parseInt(messageId.slice(15, 18), 16);
  const middle = Number.parseInt(messageId.slice(19, 22), 16) & 0x3ff;
  const value = Buffer.from(token, "base64url").subarray(9).toString();
  const scope = ["ListMessages", "ada", "d:ada:ben", ...Array.from({ length: 4 }, () => "undefined")];
  for (let high = 0; high < 1_024; high++) {
    const salt = ((high << 22) | (middle << 12) | low) >>> 0;
    if (new PageTokens(`${epoch}/${salt}`).make(scope, value) === token) return salt;
  }
  throw new Error("no salt makes this token");
}
