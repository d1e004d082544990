import type { Conversation, Message, Outgoing } from "./state.ts";

/** Adds a message to those on their way, in place of the one with its id. */
export function withOutgoing(former: Conversation, outgoing: Outgoing): Conversation {
  const replaced = replaceOutgoing(former, outgoing);
  return replaced === former ? { ...former, outgoing: [...former.outgoing, outgoing] } : replaced;
}

/** Puts a message in place of the one with its id; does nothing when that has arrived. */
export function replaceOutgoing(former: Conversation, outgoing: Outgoing): Conversation {
  const at = former.outgoing.findIndex(({ clientMessageId }) => clientMessageId === outgoing.clientMessageId);
  return at < 0 ? former : { ...former, outgoing: former.outgoing.with(at, outgoing) };
}

/** Leaves out of what is on its way what has arrived, or was given up. */
export function withoutOutgoing(
  outgoing: Conversation["outgoing"],
  clientMessageId: string,
): Conversation["outgoing"] {
  return outgoing.filter((each) => each.clientMessageId !== clientMessageId);
}

/** Leaves out of what is on its way the message that has arrived, if it was one's own. */
export function withoutSent(
  outgoing: Conversation["outgoing"],
  { senderId, clientMessageId }: Message,
  userId: string,
): Conversation["outgoing"] {
  return senderId === userId ? withoutOutgoing(outgoing, clientMessageId) : outgoing;
}
