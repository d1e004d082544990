import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { HttpServerLimits } from "./http-server.ts";

type KeepaliveLimits = Pick<
  HttpServerLimits,
  "keepaliveTimeMs" | "keepaliveTimeoutMs" | "maxConnectionIdleMs"
>;

/** Pings a connection by a timer, cuts it when no answer comes, and closes it when it has had no call for long. */
export function watchHttp2Session(
  session: ServerHttp2Session,
  socket: Socket,
  limits: KeepaliveLimits,
): void {
  let streams = 0;
  let idleSinceMs = performance.now();
  let timeout: NodeJS.Timeout | undefined;

  session.on("stream", (stream) => {
    streams++;
    stream.once("close", () => {
      streams--;
      idleSinceMs = performance.now();
    });
  });
  const timer = setInterval(() => {
    // Its `close` comes a little after the fact.
    if (session.destroyed) return;
    if (streams === 0 && performance.now() - idleSinceMs > limits.maxConnectionIdleMs) {
      session.close();
      return;
    }
    // The socket, since the session itself would wait until all it has written has left.
    timeout ??= setTimeout(() => socket.destroy(), limits.keepaliveTimeoutMs);
    session.ping(() => {
      clearTimeout(timeout);
      timeout = undefined;
    });
  }, limits.keepaliveTimeMs).unref();
  session.once("close", () => {
    clearInterval(timer);
    clearTimeout(timeout);
  });
}
