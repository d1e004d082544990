/** Why a connection to NATS failed, in words for whoever runs the service. */

import { errors } from "@nats-io/transport-node";

/**
 * What kind of failure it is: `unreachable` and `host` (a name that cannot be
 * resolved) may pass by waiting; the others ask for another configuration.
 */
export type NatsFailure = "unreachable" | "host" | "credentials" | "tls" | "protocol" | "settings";

/** Says in one line why there is no connection to NATS. Never holds credentials. */
export class NatsError extends Error {
  override readonly name = "NatsError";
  readonly failure: NatsFailure;

  constructor(message: string, options: ErrorOptions & { failure: NatsFailure }) {
    super(message, options);
    this.failure = options.failure;
  }

  /** Whether waiting may help. */
  get passing(): boolean {
    return this.failure === "unreachable" || this.failure === "host";
  }
}

/** Codes of errors of Node and OpenSSL that concern TLS. */
const tlsCode =
  /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/** Turns whatever the client failed with into a `NatsError`. */
export function natsErrorOf(error: unknown, servers: readonly string[]): NatsError {
  if (error instanceof NatsError) return error;
  const { message, code, hostname } = firstWithCode(error);
  const say = (failure: NatsFailure, why: string) =>
    new NatsError(`no connection to NATS at ${servers.join(", ")}: ${why}`, { failure, cause: error });

  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError)
    return say("credentials", `the server refuses the credentials (${message})`);
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return say("host", `the host name ${hostname ?? ""} cannot be resolved (${code})`);
  if (code !== undefined && tlsCode.test(code)) return say("tls", `TLS failed: ${message} (${code})`);
  if (/does not support 'tls'|'tls' is not available/.test(message))
    return say("tls", "TLS is asked for, and the server has none");
  if (/unexpected response|Unexpected token|JSON/.test(message))
    return say("protocol", "what answers there is no NATS server");
  if (code === "ECONNREFUSED") return say("unreachable", "nothing listens there (ECONNREFUSED)");
  if (error instanceof errors.TimeoutError) return say("unreachable", "it does not answer in time");
  return say("unreachable", code === undefined ? message : `${message} (${code})`);
}

/** Looks for the error of Node below those of the client: it has the code. OpenSSL's messages are in `reason`, in words. */
function firstWithCode(error: unknown): { message: string; code?: string; hostname?: string } {
  let found: unknown = error;
  for (let inner = error; inner instanceof Error; inner = inner.cause) {
    if (typeof (inner as NodeJS.ErrnoException).code === "string") {
      found = inner;
      break;
    }
  }
  if (!(found instanceof Error)) return { message: String(found) };
  const { code, hostname, reason } = found as Error & { code?: string; hostname?: string; reason?: unknown };
  const text = typeof reason === "string" ? reason : found.message;
  return {
    message: text.replace(/\s+/g, " ").trim(),
    ...(code !== undefined && { code: code.trim() }),
    ...(hostname !== undefined && { hostname }),
  };
}
