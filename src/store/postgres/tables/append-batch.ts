import { ChatError, ErrorReason } from "../../../model/errors.ts";
import type { Appended, Draft } from "../../../model/records.ts";
import {
  groupMuted,
  groupNotFound,
  memberMuted,
  notAMember,
  roleTooLow,
} from "../../../rules/group-refusals.ts";
import { bigintArray, byteaArray, textArray } from "../connection/binary-arrays.ts";
import type { Statement } from "../connection/connections.ts";

/** How far a user has read, as one call of `markRead` says. */
export interface Mark {
  userId: string;
  conversationId: string;
  upToSeq: number;
  /** How many drafts of the batch come before it. */
  after: number;
}

/** The outcome of a draft or a read mark. */
export type Outcome<T> = { value: T } | { refusal: ChatError };

interface Row {
  codes: Array<number | undefined> | null;
  seqs: Array<number | undefined> | null;
  positions: Array<number | undefined> | null;
  times: Array<number | undefined> | null;
  mark_codes: Array<number | undefined> | null;
  mark_details: Array<number | undefined> | null;
}

/** Appends a batch. */
export const appendStatement: Statement = {
  name: "append_1",
  text: `SELECT codes, seqs, positions, times, mark_codes, mark_details
    FROM append_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
};

const noBytes = new Uint8Array();
const encoder = new TextEncoder();

/** Makes the values of {@link appendStatement}. */
export function appendValues(epoch: string, drafts: readonly Draft[], marks: readonly Mark[]): unknown[] {
  return [
    epoch,
    textArray(drafts.map((draft) => draft.conversationId)),
    textArray(drafts.map((draft) => draft.senderId)),
    textArray(drafts.map((draft) => (isToGroup(draft) ? "" : (draft.recipientId ?? "")))),
    byteaArray(
      drafts.map(({ clientMessageId }) =>
        clientMessageId === "" ? noBytes : encoder.encode(clientMessageId),
      ),
    ),
    bigintArray(drafts.map((draft) => draft.replyTo?.position ?? 0)),
    bigintArray(drafts.map((draft) => draft.replyTo?.acceptTimeMs ?? 0)),
    byteaArray(drafts.map((draft) => draft.body)),
    textArray(marks.map((mark) => mark.userId)),
    textArray(marks.map((mark) => mark.conversationId)),
    bigintArray(marks.map((mark) => mark.upToSeq)),
    bigintArray(marks.map((mark) => mark.after)),
  ];
}

/** Reads what {@link appendStatement} answered. */
export function readOutcomes(
  row: Row,
  drafts: readonly Draft[],
  marks: readonly Mark[],
): { appended: Array<Outcome<Appended>>; marked: Array<Outcome<boolean>> } {
  const { codes, seqs, positions, times, mark_codes: markCodes, mark_details: markDetails } = row;
  return {
    appended: drafts.map((draft, n) => {
      const code = codes?.[n];
      if (code !== 0 && code !== 1) return { refusal: refusalOf(draft, code, seqs?.[n] ?? 0) };
      const place = { seq: seqs?.[n] ?? 0, position: positions?.[n] ?? 0, acceptTimeMs: times?.[n] ?? 0 };
      return { value: { ...place, duplicate: code === 1 } };
    }),
    marked: marks.map((mark, n) => {
      const code = markCodes?.[n];
      if (code === 0 || code === 1) return { value: code === 1 };
      return { refusal: markRefusalOf(mark, code, markDetails?.[n] ?? 0) };
    }),
  };
}

/** Turns a code of `append_1` into a refusal. */
function refusalOf(draft: Draft, code: number | undefined, detail: number): ChatError {
  const groupId = draft.groupId ?? "";
  switch (code) {
    case 2:
      return new ChatError(
        ErrorReason.CLIENT_MESSAGE_ID_REUSED,
        `client_message_id "${draft.clientMessageId}" was already used for another message`,
      );
    case 3:
      return groupNotFound(groupId);
    case 4:
      return notAMember(groupId, detail);
    case 5:
      return roleTooLow("readers may not send to the group");
    case 6:
      return memberMuted(detail);
    case 7:
      return groupMuted();
    case 8:
      return new ChatError(
        ErrorReason.REPLY_TARGET_NOT_FOUND,
        "the message to reply to is not in this conversation",
      );
    default:
      throw new Error(`append_1 answered ${code}`);
  }
}

function markRefusalOf(
  { conversationId, upToSeq }: Mark,
  code: number | undefined,
  lastSeq: number,
): ChatError {
  return code === 2
    ? conversationNotFound(conversationId)
    : new ChatError(ErrorReason.SEQ_IN_FUTURE, `seq ${upToSeq} is above the last one, ${lastSeq}`);
}

/** Says that the user is in no such conversation. */
export function conversationNotFound(conversationId: string): ChatError {
  return new ChatError(ErrorReason.CONVERSATION_NOT_FOUND, `you are in no conversation "${conversationId}"`);
}

/** Tells a message to a group from one to a user. */
function isToGroup({ groupId }: Draft): boolean {
  return groupId !== undefined && groupId !== "";
}
