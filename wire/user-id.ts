/** The rule of user and group ids in words, to follow "must be". */
export const userIdRule =
  "1 to 128 bytes of UTF-8 without control characters, line separators or direction marks, and without white space at its ends";

/**
 * The rule's characters. The pattern in the proto also names `\s`, which in its
 * dialect means ASCII white space only and so adds nothing; in JavaScript it
 * would.
 */
const pattern =
  /^[^\p{Z}\p{Cc}\u200E\u200F\u202A-\u202E\u2066-\u2069]([^\p{Cc}\p{Zl}\p{Zp}\u200E\u200F\u202A-\u202E\u2066-\u2069]*[^\p{Z}\p{Cc}\u200E\u200F\u202A-\u202E\u2066-\u2069])?$/u;

/**
 * Tells whether a text may be a user or group id: the rule that the proto
 * states for ids in requests, for ids that come from elsewhere, such as the
 * `sub` of a token.
 */
export function isUserId(text: string): boolean {
  return Buffer.byteLength(text) <= 128 && text.isWellFormed() && pattern.test(text);
}
