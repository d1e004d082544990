import type { ServerHttp2Session } from "node:http2";

/** Closes a connection of HTTP/2 once it has had no call for so long. */
export function closeWhenIdle(session: ServerHttp2Session, maxIdleMs: number): void {
  let calls = 0;
  const timer = setTimeout(() => {
    if (calls === 0) session.close();
  }, maxIdleMs).unref();
  session.on("stream", (stream) => {
    calls++;
    stream.once("close", () => {
      if (--calls === 0) timer.refresh();
    });
  });
  session.once("close", () => clearTimeout(timer));
}
