import type { SetTypingRequest } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { directConversationId, groupConversationId } from "../../wire/ids.ts";
import { type Bus, EphemeralKind, subjects } from "../bus/bus.ts";
import { encodeEvent } from "../live/frames.ts";
import type { Caller } from "../model/caller.ts";
import type { Groups } from "./groups.ts";

/** Makes what tells others that a caller types. */
export function createTyping(bus: Bus, groups: Groups) {
  /** @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_MUTED, GROUP_MUTED */
  return async ({ target, typing }: SetTypingRequest, { userId }: Caller): Promise<void> => {
    const id = target.value ?? "";
    const isGroup = target.case === "groupId";
    if (isGroup) await groups.requireSpeaker(id, userId, "show typing to the group");
    const conversationId = isGroup ? groupConversationId(id) : directConversationId(userId, id);
    const subject = isGroup ? subjects.group(id) : subjects.user(id);
    bus.publish(subject, {
      type: "ephemeral",
      kind: EphemeralKind.TYPING,
      subject,
      exceptUserId: userId,
      frame: encodeEvent({ case: "typing", value: { conversationId, userId, typing } }),
    });
  };
}
