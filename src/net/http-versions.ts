import type { Server } from "node:http";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

/** How every connection of HTTP/2 begins (RFC 9113 section 3.4), up to where no request of HTTP/1.1 can. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n");

/**
 * Finds out which version of HTTP a peer speaks, and leaves all it has sent for
 * whoever serves it. A peer that does not say so in time is cut off.
 */
export function speaksHttp2(socket: Socket, timeoutMs: number, answer: (isHttp2: boolean) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), timeoutMs);

  function look(): void {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    seen = Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, preface.length);
    const maybe = preface.subarray(0, length).equals(seen.subarray(0, length));
    if (maybe && seen.length < preface.length) return;
    stop();
    socket.unshift(seen);
    answer(maybe);
  }

  function stop(): void {
    clearTimeout(timer);
    socket.off("readable", look);
    socket.off("error", ignore);
    socket.off("close", stop);
    socket.off("end", abandon);
  }

  function abandon(): void {
    socket.destroy();
  }

  socket.on("readable", look);
  socket.on("error", ignore);
  socket.on("close", stop);
  socket.on("end", abandon);
}

function ignore(): void {}

/**
 * Has a server look at each connection before it takes it for one of HTTP/1.1,
 * as it would of itself.
 *
 * @param patienceMs how long a peer may take to show which version it speaks
 */
export function serveBoth(
  server: Server,
  event: "connection" | "secureConnection",
  patienceMs: number,
  serveHttp2: (socket: Socket) => void,
): void {
  const own = server.listeners(event) as ((socket: Socket) => void)[];
  server.removeAllListeners(event);
  server.on(event, (socket: Socket) => {
    const serve = (isHttp2: boolean) => {
      if (isHttp2) serveHttp2(socket);
      else for (const listener of own) listener.call(server, socket);
    };
    if (event === "secureConnection") serve((socket as TLSSocket).alpnProtocol === "h2");
    else speaksHttp2(socket, patienceMs, serve);
  });
}
