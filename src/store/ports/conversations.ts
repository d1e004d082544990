import type { Access, ConversationRecord } from "../../model/records.ts";

/** Knows who is in which conversation, and what they have read of it. */
export interface ConversationStore {
  /** Returns how a user stands to a conversation, or undefined when they are not in it now. */
  access(userId: string, conversationId: string): Promise<Access | undefined>;
  /**
   * Lists a user's conversations by falling `lastPosition`, those below
   * `beforePosition`; with `unreadOnly` only those with unread messages. At
   * most `limit`, and no further one once the bodies of their last messages
   * exceed `maxBytes`, which is no bound by default.
   */
  listConversations(
    userId: string,
    beforePosition: number,
    unreadOnly: boolean,
    limit: number,
    maxBytes?: number,
  ): Promise<ConversationRecord[]>;
  /** Returns one conversation of a user, or undefined when they are not in it. */
  getConversation(userId: string, conversationId: string): Promise<ConversationRecord | undefined>;
  /**
   * Returns those of some users who are in a conversation with a user now, in
   * any order: in a group, or in a direct one that has begun.
   */
  inConversationWith(userId: string, userIds: readonly string[]): Promise<string[]>;
  /**
   * Raises how far a user has read; a lower seq changes nothing.
   *
   * @returns whether it rose
   * @throws ChatError CONVERSATION_NOT_FOUND, SEQ_IN_FUTURE
   */
  markRead(userId: string, conversationId: string, upToSeq: number): Promise<boolean>;
}
