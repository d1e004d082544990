/** Times taken from histories, in milliseconds. */

import type { History } from "./history.ts";

/** A stretch of time on the monotonic clock of the harness. */
export interface Period {
  fromMs: number;
  toMs: number;
}

/** How long each operation that was begun in a period took until it was answered, in however many tries. */
export function answerTimes(histories: readonly History[], { fromMs, toMs }: Period): number[] {
  return histories.flatMap(({ entries }) => {
    const begun = new Map<number, number>();
    const times: number[] = [];
    for (const entry of entries) {
      if (entry.type === "invoke" && entry.atMs >= fromMs && entry.atMs < toMs)
        begun.set(entry.op, entry.atMs);
      if (entry.type !== "ok") continue;
      const atMs = begun.get(entry.op);
      if (atMs !== undefined) times.push(entry.atMs - atMs);
    }
    return times;
  });
}

/** How long each message that was sent in a period took to each client that it came to. */
export function deliveryTimes(histories: readonly History[], { fromMs, toMs }: Period): number[] {
  const sent = new Map<string, number>();
  for (const { entries } of histories) {
    for (const entry of entries) {
      if (
        entry.type === "invoke" &&
        entry.operation.f === "send" &&
        entry.atMs >= fromMs &&
        entry.atMs < toMs
      )
        sent.set(entry.operation.clientMessageId, entry.atMs);
    }
  }
  return histories.flatMap(({ entries }) =>
    entries.flatMap((entry) => {
      if (entry.type !== "event" && entry.type !== "shown") return [];
      const atMs = sent.get(entry.event.clientMessageId ?? "");
      return atMs === undefined ? [] : [entry.atMs - atMs];
    }),
  );
}
