/** The rule of user and group ids in words, to follow "must be". */
export const userIdRule =
  "1 to 128 bytes of UTF-8 without control characters, line separators or direction marks, and without white space at its ends";

/**
 * The characters of the rule. The pattern in `id_rule.proto` also names `\s`,
 * which in its dialect means ASCII white space only and so adds nothing; in
 * JavaScript it would.
 */
export const userIdPattern =
  /^[^\p{Z}\p{Cc}\u200E\u200F\u202A-\u202E\u2066-\u2069]([^\p{Cc}\p{Zl}\p{Zp}\u200E\u200F\u202A-\u202E\u2066-\u2069]*[^\p{Z}\p{Cc}\u200E\u200F\u202A-\u202E\u2066-\u2069])?$/u;

/** The most bytes of an id. */
export const maxUserIdBytes = 128;

/**
 * Tells whether a text may be a user or group id, by the rule `id` of
 * `id_rule.proto`. It is for ids that come from elsewhere than a request, such
 * as the `sub` of a token, and where the library's way of asking costs too much.
 */
export function isUserId(text: string): boolean {
  // A UTF-16 unit takes one to three bytes.
  const fits = text.length * 3 <= maxUserIdBytes || Buffer.byteLength(text) <= maxUserIdBytes;
  return fits && text.isWellFormed() && userIdPattern.test(text);
}
