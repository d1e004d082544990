import { createHash, timingSafeEqual } from "node:crypto";
import type { Metadata } from "nice-grpc";
import type { Logins } from "../chat/logins.ts";
import type { Caller } from "../model/caller.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import { deviceKey } from "../net/client-headers.ts";

const maxTokenLength = 8_192;
/** As the rule of `Device.device_id`, for what can be sent in metadata: ASCII, without the comma. */
const deviceIdPattern = /^[!-~]([ -~]{0,126}[!-~])?$/;

/**
 * Finds out who makes a call: at once when its token was seen before.
 *
 * @throws ChatError MISSING_TOKEN, INVALID_TOKEN, TOKEN_EXPIRED, INVALID_METADATA, at once or later
 */
export function authenticate(metadata: Metadata, logins: Pick<Logins, "resolve">): Caller | Promise<Caller> {
  const token = bearerToken(
    metadata,
    "the call has no token; send the metadata `authorization: Bearer <session_token>` with that of Login",
  );
  const deviceId = single(metadata, deviceKey);
  if (deviceId !== undefined && !deviceIdPattern.test(deviceId)) {
    throw new ChatError(
      ErrorReason.INVALID_METADATA,
      `the metadata ${deviceKey} must be 1 to 128 ASCII characters, spaces not at the ends`,
    );
  }
  return logins.resolve(token, deviceId);
}

/**
 * Makes what checks that a call brings one fixed token. How long that takes
 * does not tell how much of a wrong token is right.
 *
 * @returns throws ChatError MISSING_TOKEN, INVALID_TOKEN, INVALID_METADATA
 */
export function requireToken(expected: string): (metadata: Metadata) => void {
  const expectedHash = hashOf(expected);
  return (metadata) => {
    const token = bearerToken(
      metadata,
      "the call has no token; send the metadata `authorization: Bearer <token>` with the server's adminToken",
    );
    if (!timingSafeEqual(hashOf(token), expectedHash))
      throw new ChatError(ErrorReason.INVALID_TOKEN, "the token is not the server's adminToken");
  };
}

function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/**
 * Returns the token a call brings.
 *
 * @param whenMissing what to tell a caller who sent none
 * @throws ChatError MISSING_TOKEN, INVALID_TOKEN, INVALID_METADATA
 */
function bearerToken(metadata: Metadata, whenMissing: string): string {
  const authorization = single(metadata, "authorization");
  if (authorization === undefined) throw new ChatError(ErrorReason.MISSING_TOKEN, whenMissing);
  // RFC 9110 section 11.1: the scheme's case does not matter.
  if (authorization.slice(0, 7).toLowerCase() !== "bearer " || authorization.length === 7) {
    throw new ChatError(ErrorReason.INVALID_TOKEN, "the metadata authorization must be `Bearer <token>`");
  }
  if (authorization.length > maxTokenLength + 7) {
    throw new ChatError(ErrorReason.INVALID_TOKEN, `the token is longer than ${maxTokenLength} bytes`);
  }
  return authorization.slice(7);
}

/**
 * Returns a value that may be given once. Repeats arrive as one value with
 * commas between them (RFC 9110 section 5.3), so no value may have one.
 *
 * @throws ChatError INVALID_METADATA
 */
function single(metadata: Metadata, key: string): string | undefined {
  const value = metadata.get(key);
  if (typeof value !== "string") return undefined;
  if (value.includes(","))
    throw new ChatError(
      ErrorReason.INVALID_METADATA,
      `the metadata ${key} is given more than once, or has a comma`,
    );
  return value;
}
