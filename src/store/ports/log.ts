import type { LogEvent } from "../../../wire/log-event.ts";
import type { Appended, Draft, SeqRange } from "../../model/records.ts";

/** Keeps the logs of conversations, which together are one log. */
export interface LogStore {
  /**
   * Registers what to call with the events this process appends: each once, in
   * the order of position, after it is on stable storage and before the promise
   * of the write resolves. Events that were committed together come together,
   * and their positions follow each other without gaps. Must not throw.
   *
   * @returns what ends it
   */
  onAppended(listener: (events: readonly LogEvent[]) => void): () => void;
  /**
   * Appends a message as its conversation's next event.
   *
   * @throws ChatError CLIENT_MESSAGE_ID_REUSED when the sender used the id for another conversation or body
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_MUTED, GROUP_MUTED for groups
   * @throws ChatError REPLY_TARGET_NOT_FOUND when `replyTo` is no message of the conversation that the sender may read
   */
  append(draft: Draft): Promise<Appended>;
  /** Returns the message that a sender appended with a client message id, if there is one. */
  findMessage(senderId: string, clientMessageId: string): Promise<LogEvent | undefined>;
  /** Returns the event at a position, if there is one. */
  readPosition(position: number): Promise<LogEvent | undefined>;
  /** Returns events of a conversation in the order of seq, whoever may read them. */
  readSeqs(conversationId: string, range: SeqRange): Promise<LogEvent[]>;
  /** Returns the first seq of a conversation accepted at or after a time, or its last seq plus one. */
  seqAtTime(conversationId: string, timeMs: number): Promise<number>;
  /** Returns events of the whole log above a position, by position: what a node may have missed. */
  readTail(afterPosition: number, limit: number): Promise<LogEvent[]>;
  /** Returns the position of the last event, 0 for an empty log. */
  lastPosition(): Promise<number>;
}
