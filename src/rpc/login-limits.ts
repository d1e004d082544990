import type { CallContext } from "nice-grpc";
import { defaultLoginRates, type LoginRate, type LoginRates, RateLimits } from "../chat/rate-limits.ts";
import type { Clock } from "../model/clock.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import type { CallerAddresses } from "../net/caller-address.ts";

/** The key of the limit that all logins of the node share. */
const everyone = "";

/** The refusals that suggest someone is guessing tokens or users. An expired token is no guess. */
const failures: ReadonlySet<ErrorReason> = new Set([
  ErrorReason.INVALID_TOKEN,
  ErrorReason.LOGIN_METHOD_DISABLED,
  ErrorReason.SESSION_LOGGED_OUT,
]);

/** Counts logins, those of one address and all of this node, and those that fail. */
export class LoginLimits {
  readonly #limits: RateLimits<LoginRate>;
  readonly #addresses: CallerAddresses;
  readonly #takeOfNode: (key: string) => void;
  readonly #takeOfAddress: (key: string) => void;

  constructor(rates: LoginRates, addresses: CallerAddresses, clock: Clock) {
    this.#limits = new RateLimits<LoginRate>(defaultLoginRates, rates, clock);
    this.#addresses = addresses;
    this.#takeOfNode = this.#limits.taker("maxLoginsPerSecond");
    this.#takeOfAddress = this.#limits.taker("maxLoginsPerAddressPerMinute");
  }

  /** Runs a login if there is room for it. @throws ChatError RATE_LIMITED, and what the login throws */
  async run<T>({ peer, metadata }: CallContext, login: () => Promise<T>): Promise<T> {
    const address = this.#addresses.ofCall(peer, metadata);
    if (address !== undefined) {
      this.#limits.check("maxFailedLoginsPerAddressPerMinute", address);
      this.#takeOfAddress(address);
    }
    this.#takeOfNode(everyone);
    try {
      return await login();
    } catch (error) {
      if (address !== undefined && error instanceof ChatError && failures.has(error.reason))
        this.#limits.owe("maxFailedLoginsPerAddressPerMinute", address);
      throw error;
    }
  }
}
