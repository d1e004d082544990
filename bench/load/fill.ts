import type { DirectUser } from "./direct.ts";
import type { Failure } from "./failure.ts";
import type { SendFrames } from "./sends.ts";

/** How many messages are under way, below what the server takes from one stream. */
const window = 200;

/** Has a user send so many messages, in turn to all they write to; resolves once the last is answered. */
export async function sendMany(
  { session, frames }: DirectUser,
  count: number,
  failure: Failure,
): Promise<void> {
  const before = session.counts.replies;
  let sent = 0;
  const answered = new Promise<void>((resolve) => {
    session.onReceived = () => {
      const replies = session.counts.replies - before;
      while (sent < count && sent - replies < window) {
        session.send((frames[sent % frames.length] as SendFrames).next());
        sent++;
      }
      if (replies === count) resolve();
    };
  });
  session.onReceived?.(Buffer.alloc(0), 0, 0);
  await failure.during(answered);
}
