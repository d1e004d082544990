/** The options that commands which are clients have in common. */

import type { ArgsDef } from "citty";
import { type Credentials, ErrorReason, ParlanceError, Status } from "../../clients/typescript/index.ts";
import { fail, failUsage } from "./errors.ts";

/** The address `parlance serve` listens on by default. */
export const defaultAddress = "127.0.0.1:50051";

/** How long a command tries to reach the server, in milliseconds. */
export const connectTimeoutMs = 1_500;

/** The option that names the server. */
export const serverArg = {
  server: {
    type: "string",
    valueHint: "host:port",
    default: defaultAddress,
    description: "The server; https://host:port for TLS.",
  },
} as const satisfies ArgsDef;

/** The options that say who the caller is. */
export const callerArgs = {
  as: {
    type: "string",
    valueHint: "user",
    description: "The user to be, where the server runs in dev mode.",
  },
  token: {
    type: "string",
    valueHint: "JWT",
    description: "A token of the user to be, as `parlance token` makes them, in place of --as.",
  },
  device: { type: "string", valueHint: "id", default: "cli", description: "The device to be." },
} as const satisfies ArgsDef;

/** Returns what the caller proves their identity with. */
export function credentialsOf({
  as,
  token,
}: {
  as?: string | undefined;
  token?: string | undefined;
}): Credentials {
  if (token && as) failUsage("--as and --token are both given", "give one: a token says who you are");
  if (token) return { token };
  if (as) return { devUserId: as };
  failUsage("nobody is named", "say who you are with --as <user> or --token <JWT>");
}

/** Runs what a client command does, and ends the command with one line when a server refuses or is not there. */
export async function withServer<T>(address: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof ParlanceError)) throw error;
    fail(...explain(error, address), error);
  }
}

/** Says what is wrong and the way out. */
function explain(error: ParlanceError, address: string): [message: string, wayOut: string] {
  const reason = error.reasonName === "" ? Status[error.code] : error.reasonName;
  switch (error.reason) {
    case ErrorReason.LOGIN_METHOD_DISABLED:
      return [
        `${address} does not take this kind of login`,
        "give a token with --token; `parlance token` makes one",
      ];
    case ErrorReason.INVALID_TOKEN:
    case ErrorReason.TOKEN_EXPIRED:
      return [`${address} refuses the token: ${error.message}`, "make another with `parlance token`"];
    case ErrorReason.SESSION_REPLACED:
      return ["another program with the same --device took over", "give each its own --device"];
    case ErrorReason.UNSPECIFIED:
      if (error.code !== Status.UNAVAILABLE && error.code !== Status.DEADLINE_EXCEEDED) break;
      return [`no Parlance at ${address}`, "start one with `npm start`, or say where it is with --server"];
  }
  const [violation] = error.violations;
  const what = violation ? `${violation.field}: ${violation.description}` : error.message;
  return [`${address} refused (${reason}): ${what}`, "docs/errors.md explains each reason"];
}
