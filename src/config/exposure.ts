/** Which configurations are too weak for a server that others can reach. */

import { isIP } from "node:net";
import type { Config } from "./settings.ts";

/**
 * Says what must not be reachable by others, and the way out; undefined when
 * all is well or allowed by `allowInsecure`.
 */
export function exposureProblem(config: Config): string | undefined {
  const { adminHost, adminPort, adminToken, allowInsecure, auth, host, jwtSecret } = config;
  const allowed = (name: string) => allowInsecure?.split(",").includes(name) === true;
  const reachable = `host ${host} is reachable by others`;
  const adminReachable = `adminHost ${adminHost} is reachable by others`;
  const open = !isLoopback(host);
  const adminOpen = adminPort !== undefined && !isLoopback(adminHost);

  if (open && auth === "dev")
    return `${reachable}, and with auth=dev anyone can log in as anybody; set PARLANCE_AUTH=jwt and PARLANCE_JWT_SECRET (at least 32 bytes), or listen on 127.0.0.1`;
  if (adminOpen && adminToken === undefined)
    return `${adminReachable}, and there is no adminToken; set PARLANCE_ADMIN_TOKEN or PARLANCE_ADMIN_TOKEN_FILE, or listen on 127.0.0.1`;
  if ((open || adminOpen) && config.tlsCertFile === undefined && !allowed("plain-text"))
    return `${open ? reachable : adminReachable}, and without TLS tokens and messages can be read on the way; set PARLANCE_TLS_CERT_FILE and PARLANCE_TLS_KEY_FILE, or, where a proxy before the server has TLS, PARLANCE_ALLOW_INSECURE=plain-text`;
  const weak =
    (open && isWeak(jwtSecret) && "jwtSecret") || (adminOpen && isWeak(adminToken) && "adminToken");
  if (weak && !allowed("weak-secret"))
    return `${weak === "jwtSecret" ? reachable : adminReachable}, and ${weak} can be guessed; make one with \`openssl rand -hex 32\`, or set PARLANCE_ALLOW_INSECURE=weak-secret`;
  return undefined;
}

/** Fewer different bytes than any random secret that is long enough has. */
const minDifferentBytes = 8;

/** Tells whether a secret is plainly none that was chosen at random: of few letters, a repeated piece, an example. */
function isWeak(secret: string | undefined): boolean {
  if (secret === undefined) return false;
  const few = new Set(Buffer.from(secret)).size < minDifferentBytes;
  const end = secret.length;
  const repeats = Array.from({ length: end >> 1 }, (_, index) => index + 1).some((length) =>
    secret.startsWith(secret.slice(length, end)),
  );
  return few || repeats || /change.?me|example|password|placeholder|your.?secret/i.test(secret);
}

/** Tells whether only this machine can reach an address. In doubt it says no. */
function isLoopback(host: string): boolean {
  if (isIP(host) === 4) return host.startsWith("127.");
  if (isIP(host) === 6) return /^(0*:)+0*1$/.test(host) || /^::ffff:127\./i.test(host);
  return host.toLowerCase() === "localhost";
}
