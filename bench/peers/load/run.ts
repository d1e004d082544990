import type { Done } from "./orders.ts";
import type { Tally } from "./tally.ts";

/** How long what is under way may take to arrive once nothing more is sent. */
const drainMs = 20_000;

/** Whether messages are sent, and what to call whenever one came through. */
export interface Sending {
  readonly on: boolean;
  check(): void;
}

/**
 * Lets a load work for some time and resolves once each of its messages was
 * delivered to all its receivers, no more and no less, and answered.
 *
 * @param receivers how many receive each message
 * @param start begins to send
 * @throws Error when messages are missing, or some were delivered twice
 */
export async function runUntilDone(
  tally: Tally,
  seconds: number,
  receivers: number,
  answers: boolean,
  start: (sending: Sending) => void,
): Promise<Done> {
  tally.sent = 0;
  tally.delivered = 0;
  tally.confirmed = 0;
  const startMs = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const finished = new Promise<void>((resolve, reject) => {
    const sending = { on: true, check };
    timer = setTimeout(() => {
      sending.on = false;
      timer = setTimeout(() => reject(new Error(`not everything arrived: ${state()}`)), drainMs);
      check();
    }, seconds * 1000);
    start(sending);

    function check(): void {
      const due = tally.sent * receivers;
      if (tally.delivered > due) reject(new Error(`more arrived than was sent: ${state()}`));
      const done = tally.delivered === due && (!answers || tally.confirmed === tally.sent);
      if (!sending.on && done) resolve();
    }
  });
  try {
    await tally.during(finished);
  } finally {
    clearTimeout(timer);
  }
  return { units: tally.delivered, messages: tally.sent, elapsedMs: performance.now() - startMs };

  function state(): string {
    const { sent, delivered, confirmed } = tally;
    return `${sent} messages to ${receivers} each, ${delivered} deliveries, ${confirmed} answers`;
  }
}
