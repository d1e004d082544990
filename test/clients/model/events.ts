/** Events as the client shows them, for the tests of the chat model. */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { applyEvent } from "../../../clients/model/apply-event.ts";
import type { ChatState, Conversation, Message } from "../../../clients/model/state.ts";
import type { ClientEvent, MembershipChange, Place } from "../../../clients/typescript/index.ts";
import { ReceiptSchema } from "../../../gen/parlance/chat/v1/conversation_pb.js";
import { TypingSchema } from "../../../gen/parlance/chat/v1/event_pb.js";
import { GroupSchema, MembershipChangedSchema, type Role } from "../../../gen/parlance/chat/v1/group_pb.js";
import { ChatMessageSchema } from "../../../gen/parlance/chat/v1/message_pb.js";

/** The conversation of alice, whose chat it is, with bob. */
export const direct = "d:alice:bob";
/** The conversation of a group. */
export const team = "g:team";

/** Noon of 14 November 2023, so that it is the same day nearly everywhere. */
const startSeconds = 1_699_963_200;

function placeOf({ conversationId, seq }: Place): Place {
  return { conversationId, seq };
}

/** A message that was said. */
export function said(
  seq: number,
  senderId = "bob",
  init: MessageInitShape<typeof ChatMessageSchema> = {},
): ClientEvent {
  const value = create(ChatMessageSchema, {
    conversationId: direct,
    seq: BigInt(seq),
    senderId,
    content: { kind: { case: "text", value: { body: `text ${seq}` } } },
    acceptTime: { seconds: BigInt(startSeconds + seq) },
    ...(init as object),
  });
  return { case: "message", value, cursor: undefined, place: placeOf(value) };
}

/** The message of `said`, as the model has it. */
export function message(seq: number, senderId = "bob"): Message {
  const timeMs = (startSeconds + seq) * 1_000;
  return { kind: "message", seq, senderId, text: `text ${seq}`, timeMs, clientMessageId: "" };
}

/** Bob changes who is in the team. */
export function changed(
  seq: number,
  change: MembershipChange,
  userIds: readonly string[],
  role?: Role,
): ClientEvent {
  const value = create(MembershipChangedSchema, {
    conversationId: team,
    groupId: "team",
    seq: BigInt(seq),
    change,
    actorId: "bob",
    members: userIds.map((userId) => ({ groupId: "team", userId, ...(role !== undefined && { role }) })),
    memberCount: 2,
    acceptTime: { seconds: BigInt(startSeconds + seq) },
  });
  return { case: "membershipChanged", value, cursor: undefined, place: placeOf(value) };
}

/** Bob changes the team's settings. */
export function settings(seq: number, init: MessageInitShape<typeof GroupSchema> = {}): ClientEvent {
  const value = create(GroupSchema, {
    conversationId: team,
    groupId: "team",
    name: "The team",
    seq: BigInt(seq),
    updaterId: "bob",
    updateTime: { seconds: BigInt(startSeconds + seq) },
    ...(init as object),
  });
  return { case: "groupChanged", value, cursor: undefined, place: placeOf(value) };
}

/** Somebody has read. */
export function read(userId: string, upToSeq: number): ClientEvent {
  const value = create(ReceiptSchema, { conversationId: direct, userId, upToSeq: BigInt(upToSeq) });
  return { case: "receipt", value, cursor: undefined };
}

/** Somebody begins to type, or ends. */
export function types(userId: string, typing = true): ClientEvent {
  const value = create(TypingSchema, { conversationId: direct, userId, typing });
  return { case: "typing", value, cursor: undefined };
}

/** Returns the state after events that come at second 1 of the monotonic clock. */
export function apply<S extends ChatState>(state: S, ...events: ClientEvent[]): S {
  return events.reduce((former, event) => applyEvent(former, event, 1_000), state);
}

/** Returns a conversation that must be in the state. */
export function conversation(state: ChatState, id = direct): Conversation {
  const found = state.conversations.get(id);
  if (found === undefined) throw new Error(`there is no conversation ${id}`);
  return found;
}

/** Returns which events of a conversation are loaded. */
export function seqs(state: ChatState, id = direct): number[] | undefined {
  return conversation(state, id).timeline?.entries.map(({ seq }) => seq);
}
