/** Ids that follow from other things, so that nothing has to be looked up for them. */

const directPrefix = "d:";
const groupPrefix = "g:";
const personalPrefix = "u:";

/**
 * Returns the id of the conversation of two users, whatever their order:
 * `d:alice:bob`, the ids in the order of their UTF-8 bytes, with `%` written
 * as `%25` and `:` as `%3A`.
 */
export function directConversationId(oneUserId: string, otherUserId: string): string {
  const [first, second] =
    compareBytes(oneUserId, otherUserId) < 0 ? [oneUserId, otherUserId] : [otherUserId, oneUserId];
  return `${directPrefix}${escapeId(first)}:${escapeId(second)}`;
}

/** Returns the id of a group's conversation: `g:<group>`. */
export function groupConversationId(groupId: string): string {
  return `${groupPrefix}${groupId}`;
}

/** Returns the id of the log of what concerns one user alone: `u:alice`, escaped as in direct conversations. */
export function personalConversationId(userId: string): string {
  return `${personalPrefix}${escapeId(userId)}`;
}

/** The parsed form of a conversation id. */
export type ConversationTarget =
  | { kind: "direct"; userIds: readonly [string, string] }
  | { kind: "group"; groupId: string }
  /** The log of what concerns one user alone. */
  | { kind: "personal"; userId: string };

/** Reads a conversation id; undefined when it is none. */
export function parseConversationId(conversationId: string): ConversationTarget | undefined {
  if (conversationId.startsWith(groupPrefix) && conversationId.length > groupPrefix.length) {
    return { kind: "group", groupId: conversationId.slice(groupPrefix.length) };
  }
  if (conversationId.startsWith(personalPrefix)) {
    const userId = unescapeId(conversationId.slice(personalPrefix.length));
    return userId !== "" && personalConversationId(userId) === conversationId
      ? { kind: "personal", userId }
      : undefined;
  }
  if (!conversationId.startsWith(directPrefix)) return undefined;
  const colon = conversationId.indexOf(":", directPrefix.length);
  if (colon < 0) return undefined;
  const first = unescapeId(conversationId.slice(directPrefix.length, colon));
  const second = unescapeId(conversationId.slice(colon + 1));
  if (first === "" || second === "") return undefined;
  // Where nothing is escaped, only their order and a further colon can be wrong.
  const isOne = conversationId.includes("%")
    ? directConversationId(first, second) === conversationId
    : !second.includes(":") && compareBytes(first, second) <= 0;
  return isOne ? { kind: "direct", userIds: [first, second] } : undefined;
}

/** Returns the user a direct conversation is with, as seen by the other of its two. */
export function peerOf(target: { userIds: readonly [string, string] }, userId: string): string {
  return target.userIds[0] === userId ? target.userIds[1] : target.userIds[0];
}

/** Compares two strings as their UTF-8 bytes would; below 0 when `a` comes first. */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates stand for characters above all others, but not as numbers.
    const xIsSurrogate = x >= 0xd800 && x <= 0xdfff;
    const yIsSurrogate = y >= 0xd800 && y <= 0xdfff;
    return xIsSurrogate === yIsSurrogate ? x - y : xIsSurrogate ? 1 : -1;
  }
  return a.length - b.length;
}

/**
 * Returns the id of the message at a position: a UUIDv7 (RFC 9562) whose
 * random bits hold the position (52 bits) and the store's salt (22 bits). So
 * the store needs no index to find a message by its id, and no room to keep it.
 */
export function messageIdOf(acceptTimeMs: number, salt: number, position: number): string {
  const time = acceptTimeMs.toString(16).padStart(12, "0");
  const low = position.toString(16).padStart(13, "0");
  const a = (0x7000 | (salt & 0xfff)).toString(16);
  const b = (0x800 | ((salt >>> 12) & 0x3ff)).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-${a}-${b}${low.slice(0, 1)}-${low.slice(1)}`;
}

/** Writes what `messageIdOf` returns, 36 bytes, without making a string of it; returns where the next byte goes. */
export function writeMessageId(
  target: Uint8Array,
  at: number,
  acceptTimeMs: number,
  salt: number,
  position: number,
): number {
  const high = Math.floor(position / 2 ** 32);
  let to = writeHex(target, at, Math.floor(acceptTimeMs / 2 ** 16), 8);
  target[to++] = dash;
  to = writeHex(target, to, acceptTimeMs % 2 ** 16, 4);
  target[to++] = dash;
  to = writeHex(target, to, 0x7000 | (salt & 0xfff), 4);
  target[to++] = dash;
  to = writeHex(target, to, 0x800 | ((salt >>> 12) & 0x3ff), 3);
  to = writeHex(target, to, high >>> 16, 1);
  target[to++] = dash;
  to = writeHex(target, to, high & 0xffff, 4);
  return writeHex(target, to, position >>> 0, 8);
}

const dash = 0x2d;
// No Buffer: the page has none.
const hexDigits = new TextEncoder().encode("0123456789abcdef");

/** Writes the last digits of a number below 2^32 and returns where the next byte goes. */
function writeHex(target: Uint8Array, at: number, value: number, digits: number): number {
  for (let i = digits - 1, rest = value | 0; i >= 0; i--, rest >>>= 4)
    target[at + i] = hexDigits[rest & 15] as number;
  return at + digits;
}

/** The parsed form of a message id. The message exists if the event at `position` is one and has this time. */
export interface MessageKey {
  position: number;
  acceptTimeMs: number;
}

/** Reads a message id, a UUID in any case; undefined when this store did not make it. */
export function parseMessageId(messageId: string, salt: number): MessageKey | undefined {
  const hex = messageId.toLowerCase();
  const acceptTimeMs = Number.parseInt(hex.slice(0, 8) + hex.slice(9, 13), 16);
  const position = Number.parseInt(hex.slice(22, 23) + hex.slice(24), 16);
  return messageIdOf(acceptTimeMs, salt, position) === hex ? { position, acceptTimeMs } : undefined;
}

function escapeId(userId: string): string {
  if (!userId.includes(":") && !userId.includes("%")) return userId;
  return userId.replaceAll("%", "%25").replaceAll(":", "%3A");
}

function unescapeId(text: string): string {
  return text.includes("%") ? text.replaceAll("%3A", ":").replaceAll("%25", "%") : text;
}
