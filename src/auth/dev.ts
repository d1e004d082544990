import { isUserId, userIdRule } from "../../wire/user-id.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import { latestTimeMs } from "./latest-time.ts";
import type { TokenVerifier } from "./verifier.ts";

/**
 * Makes a verifier that believes everyone, for development on one machine:
 * any user id, without proof, for ever.
 *
 * @param tokens verifies tokens as well; without it they are refused
 */
export function createDevVerifier(tokens?: TokenVerifier): TokenVerifier {
  return {
    async verify(credential) {
      if (credential.kind === "devUserId") {
        if (isUserId(credential.userId)) {
          return { userId: credential.userId, expireTimeMs: latestTimeMs, issueTimeMs: Date.now() };
        }
        throw new ChatError(ErrorReason.INVALID_REQUEST, `the user id must be ${userIdRule}`, {
          violations: [{ field: "dev_user_id", rule: "string.id", description: `must be ${userIdRule}` }],
        });
      }
      if (tokens) return tokens.verify(credential);
      throw new ChatError(
        ErrorReason.LOGIN_METHOD_DISABLED,
        "this server has no secret to check tokens with; log in with dev_user_id, or set PARLANCE_JWT_SECRET on the server",
      );
    },
  };
}
