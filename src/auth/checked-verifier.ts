import { isUserId, userIdRule } from "../../wire/user-id.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import { clockToleranceMs } from "./clock-tolerance.ts";
import { latestTimeMs } from "./latest-time.ts";
import type { Credential, Identity, TokenVerifier } from "./verifier.ts";

/** Is told what is wrong with a verifier; one object a line. */
interface VerifierLog {
  error(fields: object, message: string): void;
}

/** Times below this, in 1973, were most likely given in seconds. */
const earliestTimeMs = 100_000_000_000;

/**
 * Makes a verifier of the host's own safe to rely on: whatever it returns is
 * checked by the rules of `Identity`, and what breaks one proves nobody.
 *
 * - A refusal (`ChatError`) passes as it is.
 * - A result that breaks a rule is INVALID_TOKEN for the caller; the log names
 *   the rule, never the token or the value.
 * - Anything else that is thrown is INTERNAL for the caller, as nobody knows
 *   whether the token is good.
 */
export function checkVerifier(verifier: TokenVerifier, log: VerifierLog): TokenVerifier {
  return {
    ...(verifier.maxAgeMs !== undefined && { maxAgeMs: verifier.maxAgeMs }),

    async verify(credential) {
      let identity: Identity;
      try {
        identity = copyOf(await verifier.verify(credential));
      } catch (error) {
        throw isRefusal(error) ? error : failure(error, credential);
      }
      const rule = brokenRule(identity);
      if (rule === undefined) return { ...identity, ...times(identity) };
      log.error({ rule }, "the host's verifier returned what proves nobody; the token is refused");
      throw new ChatError(ErrorReason.INVALID_TOKEN, "the token is not valid for this server", {
        cause: rule,
      });
    },
  };
}

/** Reads each field once, as a getter might answer differently the next time, or throw. */
function copyOf({ userId, expireTimeMs, issueTimeMs = 0 }: Identity): Identity {
  return { userId, expireTimeMs, issueTimeMs };
}

/** Returns the rule that an identity breaks, for the host. */
function brokenRule({ userId, expireTimeMs, issueTimeMs }: Identity): string | undefined {
  if (typeof userId !== "string" || !isUserId(userId)) return `userId must be ${userIdRule}`;
  // NaN is in no range.
  if (!(typeof expireTimeMs === "number" && expireTimeMs >= earliestTimeMs))
    return "expireTimeMs must be a time in milliseconds since 1970";
  const isKnown = issueTimeMs !== 0;
  if (isKnown && !(typeof issueTimeMs === "number" && issueTimeMs >= earliestTimeMs))
    return "issueTimeMs must be a time in milliseconds since 1970, or 0 when it is not known";
  // A token dated ahead would outlive a logout, which refuses what was issued before it.
  if (issueTimeMs > Date.now() + clockToleranceMs) return "issueTimeMs must not be in the future";
  return undefined;
}

function times({ expireTimeMs, issueTimeMs }: Identity): Pick<Identity, "expireTimeMs" | "issueTimeMs"> {
  return {
    expireTimeMs: Math.floor(Math.min(expireTimeMs, latestTimeMs)),
    issueTimeMs: Math.floor(issueTimeMs),
  };
}

function isRefusal(error: unknown): error is ChatError {
  return error instanceof ChatError && ErrorReason[error.reason] !== undefined;
}

/** Says what a verifier threw, without the credential that it may repeat. */
function failure(error: unknown, credential: Credential): Error {
  const failed = new Error("the host's verifier failed");
  const text = error instanceof Error ? String(error.stack ?? error.message) : `it threw a ${typeof error}`;
  const secret = credential.kind === "token" ? credential.token : "";
  failed.stack = `${failed.message}: ${secret === "" ? text : text.replaceAll(secret, "[token]")}`;
  return failed;
}
