import type { Socket } from "node:net";

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
