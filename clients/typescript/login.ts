import type { MessageInitShape } from "@bufbuild/protobuf";
import type { LoginRequestSchema, LoginResponse } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { DeviceSchema } from "../../gen/parlance/chat/v1/device_pb.js";
import { ParlanceError, Status } from "./errors.ts";
import { hostFailed } from "./host-calls.ts";
import { epochMillis, sleep } from "./time.ts";

/** The proof of who the user is. */
export type Credentials =
  /** Any user id, where the server runs in `dev` mode. */
  | { devUserId: string }
  /** A token of the host application. */
  | { token: string }
  /**
   * Asked for a token of the host application at every login. May throw a
   * `ParlanceError` to fail with; whatever else it throws is the cause of one.
   */
  | { getToken: () => string | Promise<string> };

/** The device that the client runs on; see the proto's `Device`. */
export type DeviceInit = MessageInitShape<typeof DeviceSchema>;

/** Calls the rpc `Login`. Rejects with a `ParlanceError`. */
export type CallLogin = (request: MessageInitShape<typeof LoginRequestSchema>) => Promise<LoginResponse>;

/** A token is exchanged this long before it expires. */
const renewBeforeMs = 10_000;

/** Keeps a session token, and gets another when it expires or is refused. */
export class Login {
  readonly #credentials: Credentials;
  readonly #device: DeviceInit;
  readonly #call: CallLogin;
  #under: Promise<LoginResponse> | undefined;
  #current: LoginResponse | undefined;

  /** @param current the answer to an earlier login, to go on with */
  constructor(credentials: Credentials, device: DeviceInit, call: CallLogin, current?: LoginResponse) {
    this.#credentials = credentials;
    this.#current = current;
    this.#device = device;
    this.#call = call;
  }

  /** The answer to the last login, if there was one. */
  get current(): LoginResponse | undefined {
    return this.#current;
  }

  /** Returns a session token, after a login if need be. Callers that come together share one login. */
  async token(): Promise<string> {
    const current = this.#current;
    if (current !== undefined) {
      const expireMs = epochMillis(current.expireTime);
      if (expireMs === undefined || expireMs - renewBeforeMs > Date.now()) return current.sessionToken;
    }
    this.#under ??= this.#login().finally(() => {
      this.#under = undefined;
    });
    return (await this.#under).sessionToken;
  }

  /** Gives up a token that the server refused. One that was already replaced is left alone. */
  refuse(token: string): void {
    if (this.#current?.sessionToken === token) this.#current = undefined;
  }

  async #login(): Promise<LoginResponse> {
    const response = await this.#call({ credential: await this.#credential(), device: this.#device });
    this.#current = response;
    return response;
  }

  async #credential(): Promise<NonNullable<MessageInitShape<typeof LoginRequestSchema>["credential"]>> {
    const credentials = this.#credentials;
    if ("devUserId" in credentials) return { case: "devUserId", value: credentials.devUserId };
    return {
      case: "token",
      value: "token" in credentials ? credentials.token : await ask(credentials.getToken),
    };
  }
}

/** Makes a `getToken` that does not answer within `ms()` milliseconds fail with DEADLINE_EXCEEDED. */
export function timedCredentials(credentials: Credentials, ms: () => number): Credentials {
  if (!("getToken" in credentials)) return credentials;
  return {
    async getToken() {
      const limitMs = ms();
      const late = new AbortController();
      const timeout = sleep(limitMs, late.signal).then(() => {
        throw new ParlanceError(Status.DEADLINE_EXCEEDED, `getToken did not answer within ${limitMs} ms`);
      });
      try {
        return await Promise.race([ask(credentials.getToken), timeout]);
      } finally {
        timeout.catch(() => {});
        late.abort();
      }
    },
  };
}

function ask(getToken: () => string | Promise<string>): Promise<string> {
  return (async () => getToken())().catch((cause: unknown) => {
    throw cause instanceof ParlanceError ? cause : hostFailed("getToken", cause);
  });
}
