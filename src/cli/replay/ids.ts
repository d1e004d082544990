import { createHash, randomBytes } from "node:crypto";

const maxBytes = 128;

/** Makes an id that tells the users and groups of one replay from those of others. */
export function newRunId(): string {
  return randomBytes(4).toString("hex");
}

/**
 * Makes a user or group id out of parts, joined by `/`: different parts make
 * different ids, and what an id must not hold is written as percent and hex.
 */
export function idOf(...parts: readonly string[]): string {
  const id = parts.map(escapePart).join("/");
  if (Buffer.byteLength(id) <= maxBytes) return id;
  return createHash("sha256").update(id).digest("hex");
}

function escapePart(part: string): string {
  return part.replace(/[%/\s\p{C}\p{Z}]/gu, (character) => {
    const hex = Buffer.from(character).toString("hex").toUpperCase();
    return hex.replace(/../g, "%$&");
  });
}
