import { createHmac, timingSafeEqual } from "node:crypto";
import { ChatError, ErrorReason } from "../model/errors.ts";

const macBytes = 9;

/**
 * Makes and reads page tokens. A token is bound to what it pages through, so
 * that one of another list, or a made-up one, is refused instead of giving
 * pages with holes. It carries no right: every page is authorised anew.
 */
export class PageTokens {
  readonly #key: string;

  /** @param key the same on all nodes of one store */
  constructor(key: string) {
    this.#key = key;
  }

  /** Makes a token. @param scope the method, the caller and everything of the request that must stay the same */
  make(scope: readonly string[], value: string): string {
    return Buffer.concat([this.#mac(scope, value), Buffer.from(value)]).toString("base64url");
  }

  /**
   * Returns the value of a token, or undefined when it is empty: the first page.
   *
   * @throws ChatError INVALID_PAGE_TOKEN
   */
  read(scope: readonly string[], token: string): string | undefined {
    if (token === "") return undefined;
    const bytes = Buffer.from(token, "base64url");
    const value = bytes.subarray(macBytes).toString();
    if (bytes.length < macBytes || !timingSafeEqual(bytes.subarray(0, macBytes), this.#mac(scope, value))) {
      throw invalidToken();
    }
    return value;
  }

  /**
   * Returns the value of a token that holds a number of the log, as `read` does.
   *
   * @throws ChatError INVALID_PAGE_TOKEN
   */
  readNumber(scope: readonly string[], token: string): number | undefined {
    const value = this.read(scope, token);
    if (value === undefined) return undefined;
    // Who knows the key, which is no secret, can make tokens of any value.
    if (!/^\d{1,15}$/.test(value)) throw invalidToken();
    return Number(value);
  }

  /**
   * Returns the value of a token that holds an id, as `read` does.
   *
   * @throws ChatError INVALID_PAGE_TOKEN
   */
  readId(scope: readonly string[], token: string): string | undefined {
    const value = this.read(scope, token);
    if (value !== undefined && /\p{Cc}/u.test(value)) throw invalidToken();
    return value;
  }

  #mac(scope: readonly string[], value: string): Buffer {
    return createHmac("sha256", this.#key)
      .update(JSON.stringify([...scope, value]))
      .digest()
      .subarray(0, macBytes);
  }
}

function invalidToken(): ChatError {
  return new ChatError(
    ErrorReason.INVALID_PAGE_TOKEN,
    "page_token was not made by this list, or for another request; leave it out to start over",
    {
      violations: [
        {
          field: "page_token",
          rule: "page_token",
          description: "must be the next_page_token of the same request",
        },
      ],
    },
  );
}
