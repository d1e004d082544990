/** Where NATS is and how a node proves who it is there. */

import { readFileSync } from "node:fs";
import { credsAuthenticator, type NodeConnectionOptions } from "@nats-io/transport-node";
import { NatsError } from "./errors.ts";

/** How to reach NATS. */
export interface NatsServers {
  /**
   * One or more servers of one cluster, comma separated: `nats://host:port`, or
   * `tls://host:port` to go on with TLS only. The port is 4222 by default. User
   * and password, or a token, may stand before the host: `nats://user:password@host`.
   */
  url: string;
  user?: string | undefined;
  password?: string | undefined;
  token?: string | undefined;
  /** A file with a JWT and its key, as `nsc` makes it. Read for each connection, so that it may be replaced. */
  credsFile?: string | undefined;
  /** PEM files: whom to trust instead of the system's authorities, and what to show. Read for each connection. */
  tlsCaFile?: string | undefined;
  tlsCertFile?: string | undefined;
  tlsKeyFile?: string | undefined;
}

/** The servers and credentials that `url` names. */
export interface ParsedServers {
  /** `host:port` of each; for logs too, as credentials are left out. */
  servers: string[];
  /** Whether to go on with TLS only. */
  tls: boolean;
  user?: string;
  password?: string;
  token?: string;
}

/**
 * Reads a list of servers.
 *
 * @throws NatsError `settings` that names the server by its place, never by its text, which may hold a password
 */
export function parseServers(url: string): ParsedServers {
  const parsed: ParsedServers = { servers: [], tls: false };
  url.split(",").forEach((text, index) => {
    const { hostname, port, protocol, username, password, pathname, search, hash } = parseOne(
      text.trim(),
      index,
    );
    if (!/^(nats|tls):$/.test(protocol) || hostname === "" || /[^/]/.test(`${pathname}${search}${hash}`))
      throw notOne(index);
    parsed.servers.push(`${hostname}:${port || "4222"}`);
    if (protocol === "tls:") parsed.tls = true;
    if (password !== "") {
      parsed.user = unescaped(username, index);
      parsed.password = unescaped(password, index);
    } else if (username !== "") {
      parsed.token = unescaped(username, index);
    }
  });
  return parsed;
}

function parseOne(text: string, index: number): URL {
  const url = URL.parse(text);
  if (url === null) throw notOne(index);
  return url;
}

function unescaped(text: string, index: number): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // biome-ignore lint/style/useErrorCause: its message repeats the text, which may be a password
    throw notOne(index);
  }
}

function notOne(index: number): NatsError {
  return new NatsError(
    `server ${index + 1} in the list of NATS servers is not nats://host:port or tls://host:port`,
    { failure: "settings" },
  );
}

/**
 * Returns what the client has to know to authenticate itself and the server.
 *
 * @throws NatsError `settings` when a file cannot be read or does not hold what it should
 */
export function securityOf(
  settings: NatsServers,
  parsed: ParsedServers,
): Pick<NodeConnectionOptions, "tls" | "user" | "pass" | "token" | "authenticator"> {
  const { credsFile, tlsCaFile, tlsCertFile, tlsKeyFile } = settings;
  const user = settings.user ?? parsed.user;
  const password = settings.password ?? parsed.password;
  const token = settings.token ?? parsed.token;
  const withTls = parsed.tls || [tlsCaFile, tlsCertFile, tlsKeyFile].some((file) => file !== undefined);
  return {
    ...(withTls && {
      tls: {
        ...(tlsCaFile !== undefined && { ca: read(tlsCaFile) }),
        ...(tlsCertFile !== undefined && { cert: read(tlsCertFile) }),
        ...(tlsKeyFile !== undefined && { key: read(tlsKeyFile) }),
      },
    }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { pass: password }),
    ...(token !== undefined && { token }),
    ...(credsFile !== undefined && { authenticator: authenticatorOf(credsFile) }),
  };
}

function authenticatorOf(path: string): ReturnType<typeof credsAuthenticator> {
  const authenticator = credsAuthenticator(Buffer.from(read(path)));
  try {
    authenticator("nonce");
  } catch {
    // biome-ignore lint/style/useErrorCause: it may repeat a piece of the file
    throw new NatsError(`the NATS credentials file ${path} does not hold a JWT and a key`, {
      failure: "settings",
    });
  }
  return authenticator;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new NatsError(`a file for NATS cannot be read: ${(error as Error).message}`, {
      failure: "settings",
      cause: error,
    });
  }
}
