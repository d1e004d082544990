import type { DatabaseSync } from "node:sqlite";
import { EventKind } from "../../../../wire/log-event.ts";
import { ChatError, ErrorReason } from "../../../model/errors.ts";
import { type Appended, Role } from "../../../model/records.ts";
import { groupNotFound, notAMember, silenceOf } from "../../../rules/group-refusals.ts";
import type { PackedDraft } from "../thread/packed-drafts.ts";
import type { Log } from "./log.ts";

/** An earlier event with the same client message id. */
interface Earlier {
  conversation: number;
  seq: number;
  position: number;
  acceptTimeMs: number;
  body: Uint8Array;
}

/** How a sender stands to a group; `role` is null for those who are no members. */
interface Standing {
  joinPolicy: number;
  muted: number;
  role: Role | null;
  mutedUntilMs: number;
  visibleFromSeq: number;
}

/**
 * Makes the function that appends messages: the hot path, so it touches the
 * database as seldom as it can. That an id was used before is found by the
 * insert itself; only a draft that is about to be refused, or to make a
 * conversation, asks for it first, since an answer once given stands.
 */
export function createAppendMessage(database: DatabaseSync, log: Log): (draft: PackedDraft) => Appended {
  const selectEarlier = database.prepare(`
    SELECT conversation, seq, position, accept_time_ms AS acceptTimeMs, body FROM events
    WHERE sender_id = ? AND client_message_id = ?
  `);
  const selectStanding = database.prepare(`
    SELECT g.join_policy AS joinPolicy, g.muted, m.role, m.muted_until_ms AS mutedUntilMs,
      m.visible_from_seq AS visibleFromSeq
    FROM groups g LEFT JOIN members m ON m.user_id = ? AND m.conversation = g.conversation
    WHERE g.conversation = ? AND g.disband_time_ms IS NULL
  `);
  const selectTarget = database.prepare(
    "SELECT conversation, seq, kind, accept_time_ms AS acceptTimeMs FROM events WHERE position = ?",
  );
  const insertMember = database.prepare(`
    INSERT INTO members (user_id, conversation, role, join_time_ms, join_seq, visible_from_seq, read_seq, muted_until_ms)
    VALUES (?, ?, ${Role.MEMBER}, ?, 1, 1, 0, 0) ON CONFLICT DO NOTHING
  `);

  return (draft) => {
    const key = log.keyOf(draft.conversationId);
    const refusal = refusalOf(draft, key);
    if (refusal !== undefined || key === undefined) {
      const earlier = earlierOf(draft, key);
      if (earlier !== undefined) return earlier;
      if (refusal !== undefined) throw refusal;
    }
    const clientMessageId = draft.clientMessageId === "" ? null : draft.clientMessageId;
    const place = log.append(
      key ?? begin(draft),
      EventKind.MESSAGE,
      draft.senderId,
      clientMessageId,
      draft.body,
    );
    if (place !== undefined) return { ...place, duplicate: false };
    const earlier = earlierOf(draft, key);
    if (earlier === undefined) throw new Error("a duplicate that is not there");
    return earlier;
  };

  function refusalOf(draft: PackedDraft, key: number | undefined): ChatError | undefined {
    let visibleFromSeq = 1;
    if (draft.groupId !== "") {
      const standing = key === undefined ? undefined : selectStanding.get(draft.senderId, key);
      if (standing === undefined) return groupNotFound(draft.groupId);
      const refusal = groupRefusalOf(draft.groupId, standing as unknown as Standing, log.acceptTimeMs);
      if (refusal !== undefined) return refusal;
      visibleFromSeq = Number(standing.visibleFromSeq);
    }
    if (draft.replyToPosition === 0) return undefined;
    const target = selectTarget.get(draft.replyToPosition);
    const found =
      target !== undefined &&
      target.conversation === key &&
      target.kind === EventKind.MESSAGE &&
      target.acceptTimeMs === draft.replyToTimeMs &&
      Number(target.seq) >= visibleFromSeq;
    if (found) return undefined;
    return new ChatError(
      ErrorReason.REPLY_TARGET_NOT_FOUND,
      "the message to reply to is not in this conversation",
    );
  }

  function earlierOf(draft: PackedDraft, key: number | undefined): Appended | undefined {
    if (draft.clientMessageId === "") return undefined;
    const row = selectEarlier.get(draft.senderId, draft.clientMessageId);
    if (row === undefined) return undefined;
    const { conversation, body, seq, position, acceptTimeMs } = row as unknown as Earlier;
    if (conversation !== key || Buffer.compare(body, draft.body) !== 0) {
      throw new ChatError(
        ErrorReason.CLIENT_MESSAGE_ID_REUSED,
        `client_message_id "${draft.clientMessageId}" was already used for another message`,
      );
    }
    return { seq, position, acceptTimeMs, duplicate: true };
  }

  /** Begins a direct conversation. */
  function begin(draft: PackedDraft): number {
    const key = log.createConversation(draft.conversationId);
    insertMember.run(draft.senderId, key, log.acceptTimeMs);
    insertMember.run(draft.recipientId, key, log.acceptTimeMs);
    return key;
  }
}

function groupRefusalOf(groupId: string, standing: Standing, nowMs: number): ChatError | undefined {
  if (standing.role === null) return notAMember(groupId, standing.joinPolicy);
  return silenceOf({ muted: standing.muted !== 0 }, { ...standing, role: standing.role }, nowMs);
}
