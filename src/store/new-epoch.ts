import { randomBytes } from "node:crypto";

/** Makes the name of a new incarnation of a store: 10 random characters of lower-case base32. */
export function newEpoch(): string {
  return Array.from(randomBytes(10), (byte) => "abcdefghijklmnopqrstuvwxyz234567"[byte & 31]).join("");
}
