/**
 * One connection to NATS, from the first packet to its end. The client library
 * reconnects by itself too, but then keeps what is published meanwhile, gives
 * up after refused credentials, and waits for ever for a server that was
 * stopped while much was on its way to it. So here a connection is used once,
 * and `nats.ts` makes the next.
 */

import type { NatsConnection } from "@nats-io/transport-node";
import { connectOwned, SocketOwner } from "../../net/nats-transport.ts";
import { NatsError, natsErrorOf } from "./errors.ts";
import { type NatsServers, parseServers, securityOf } from "./settings.ts";

/** How long a server may take to answer until the next one is tried. */
const dialTimeoutMs = 5_000;
/** A server that leaves three pings in a row unanswered is given up: 6 to 9 seconds after it died. */
const pingIntervalMs = 3_000;
const maxPingsOut = 2;

/** An open connection. */
export interface NatsLink {
  nats: NatsConnection;
  /** The server's name and address, for logs. */
  server: string;
  /** Resolves when the connection has ended, with why, in words. */
  ended: Promise<string>;
  /**
   * Resolves when the server has taken all that was sent before.
   *
   * @throws NatsError when it does not within this time, or the connection ends
   */
  flush: (maxMs: number) => Promise<void>;
  /** Ends it at once, whatever is still to be written. */
  destroy: () => void;
}

/** How to connect. */
export interface DialOptions extends NatsServers {
  /** The name of the connection in the server's monitoring. */
  name: string;
  /** Gives up. */
  signal: AbortSignal;
  /** Called with errors that the server tells and that do not end the connection by themselves. */
  onError: (error: Error) => void;
}

/**
 * Connects to one of the servers, in random order.
 *
 * @throws NatsError of the last server that was tried
 */
export async function dial(options: DialOptions): Promise<NatsLink> {
  const parsed = parseServers(options.url);
  const sockets = new SocketOwner();
  const destroy = () => sockets.destroy();
  options.signal.addEventListener("abort", destroy, { once: true });
  try {
    if (options.signal.aborted) sockets.destroy();
    const nats = await connectOwned({
      ...securityOf(options, parsed),
      servers: parsed.servers,
      name: options.name,
      noEcho: true,
      reconnect: false,
      ignoreClusterUpdates: true,
      noAsyncTraces: true,
      timeout: dialTimeoutMs,
      pingInterval: pingIntervalMs,
      maxPingOut: maxPingsOut,
      sockets,
    });
    let why = "the server closed the connection";
    watch(nats, options.onError, () => {
      why = "the server does not answer";
      sockets.destroy();
    });
    const ended = nats.closed().then((error) => (error instanceof Error ? error.message : why));
    return {
      nats,
      server: `${nats.info?.server_name ?? "?"} (${nats.getServer()})`,
      ended,
      flush: (maxMs) => flush(nats, ended, maxMs),
      destroy: () => {
        sockets.destroy();
        nats.close().catch(() => {});
      },
    };
  } catch (error) {
    sockets.destroy();
    throw natsErrorOf(error, parsed.servers);
  } finally {
    options.signal.removeEventListener("abort", destroy);
  }
}

/** Passes on what the server complains of, and ends a connection whose pings go unanswered. */
function watch(nats: NatsConnection, onError: (error: Error) => void, destroy: () => void): void {
  const statuses = nats.status();
  (async () => {
    for await (const status of statuses) {
      if (status.type === "error") onError(status.error);
      // The client would first write what it has left, which a stopped server never takes.
      if (status.type === "staleConnection") destroy();
    }
  })().catch(onError);
}

/** Waits for the client's own flush, which stays pending for ever when the connection ends. */
async function flush(nats: NatsConnection, ended: Promise<string>, maxMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, maxMs, "the server does not answer in time");
  });
  try {
    const why = await Promise.race([nats.flush(), ended, late]);
    if (typeof why === "string") throw new NatsError(why, { failure: "unreachable" });
  } finally {
    clearTimeout(timer);
  }
}
