import { webcrypto } from "node:crypto";
import { errors, type JWTPayload, jwtVerify } from "jose";
import { isUserId } from "../../wire/user-id.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import { clockToleranceMs } from "./clock-tolerance.ts";
import { latestTimeMs } from "./latest-time.ts";
import type { Identity, TokenVerifier } from "./verifier.ts";

/** The settings for verifying tokens. */
export interface JwtOptions {
  /** The secret shared with whoever issues the tokens, at least 32 bytes. */
  secret: string;
  /** The `iss` that tokens must have. */
  issuer?: string | undefined;
  /** The `aud` that tokens must have. Without it a token that names an audience is refused, as RFC 7519 section 4.1.3 asks. */
  audience?: string | undefined;
  /** The longest time since `iat`. */
  maxAgeSeconds?: number | undefined;
}

/** The longest token that is looked at, as in the proto. */
const maxTokenBytes = 8_192;

/**
 * Makes a verifier for JWTs signed with HS256. The user is the token's `sub`;
 * `exp` is required. Keys come from the options alone: `kid`, `jku` and the
 * like in a token are not looked at.
 */
export function createJwtVerifier(options: JwtOptions): TokenVerifier {
  const secret = new TextEncoder().encode(options.secret);
  if (secret.length < 32) throw new RangeError("the secret for HS256 must have at least 32 bytes");
  // Imported once: given bytes, jose would import them with every token, which takes longer than the check.
  const key = webcrypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  const { issuer, audience, maxAgeSeconds } = options;
  const rules = {
    algorithms: ["HS256"],
    requiredClaims: ["exp", "sub"],
    clockTolerance: clockToleranceMs / 1000,
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience }),
    ...(maxAgeSeconds !== undefined && { maxTokenAge: maxAgeSeconds }),
  };

  return {
    ...(maxAgeSeconds !== undefined && { maxAgeMs: maxAgeSeconds * 1000 }),

    async verify(credential) {
      if (credential.kind !== "token") {
        throw new ChatError(
          ErrorReason.LOGIN_METHOD_DISABLED,
          "this server does not take dev_user_id; log in with a token",
        );
      }
      if (credential.token.length > maxTokenBytes) throw invalid("too long");
      const payload = await jwtVerify(credential.token, await key, rules).then(
        (result) => result.payload,
        (error: unknown) => {
          throw refusalOf(error);
        },
      );
      if (audience === undefined && payload.aud !== undefined)
        throw invalid("meant for an audience, none is configured");
      return identityOf(payload, maxAgeSeconds);
    },
  };
}

/** Makes the identity of a token that was checked; it ends with the token or when that is too old. */
function identityOf(payload: JWTPayload, maxAgeSeconds = Number.POSITIVE_INFINITY): Identity {
  const { sub, exp, iat } = payload;
  if (typeof sub !== "string" || !isUserId(sub)) throw invalid("sub is no user id");
  if (exp === undefined) throw invalid("no exp");
  // A token dated ahead would outlive a logout, which refuses what was issued before it.
  if (iat !== undefined && iat * 1000 > Date.now() + clockToleranceMs) throw invalid("iat is in the future");
  return {
    userId: sub,
    expireTimeMs: Math.floor(Math.min(exp * 1000, ((iat ?? 0) + maxAgeSeconds) * 1000, latestTimeMs)),
    issueTimeMs: iat === undefined ? 0 : Math.max(0, Math.floor(iat * 1000)),
  };
}

function refusalOf(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) {
    return new ChatError(ErrorReason.TOKEN_EXPIRED, "the token has expired; get a new one", {
      cause: error.code,
    });
  }
  // jose's errors carry the token's claims; only their code may reach the log.
  return error instanceof errors.JOSEError ? invalid(error.code) : error;
}

/** One answer for every flaw, so that a forger learns nothing. The flaw goes to the log. */
function invalid(flaw: string): ChatError {
  return new ChatError(ErrorReason.INVALID_TOKEN, "the token is not valid for this server", { cause: flaw });
}
