import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Http2Server } from "node:http2";
import type { Server } from "node:net";

/** Where Node tells of each server that is about to listen. */
const listening = "tracing:net.server.listen:asyncStart";

/**
 * Calls `prepare` with each server that `listen` starts, before it accepts a
 * connection. grpc-js keeps its servers to itself; this needs none of its
 * private fields.
 */
export async function preparingServers<T>(
  prepare: (server: Http2Server) => void,
  listen: () => Promise<T>,
): Promise<T> {
  const within = new AsyncLocalStorage<true>();
  const onListen = (message: unknown) => {
    // Other servers of the process may start at the same time.
    if (within.getStore()) prepare((message as { server: Server }).server as Http2Server);
  };
  subscribe(listening, onListen);
  try {
    return await within.run(true, listen);
  } finally {
    unsubscribe(listening, onListen);
    // Before Node 24 a storage in use slows down every promise.
    within.disable();
  }
}
