import type { Dump, DumpEvent } from "../dump.ts";

/** Finds events of a dump, by where they are and by who sent them. */
export class LogIndex {
  readonly epoch: string;
  readonly events: readonly DumpEvent[];
  /** The position of the last event; 0 for an empty log. */
  readonly lastPosition: number;
  readonly #conversations = new Map<string, Map<number, DumpEvent>>();
  readonly #sent = new Map<string, Map<string, DumpEvent>>();

  constructor({ epoch, events }: Dump) {
    this.epoch = epoch;
    this.events = events;
    this.lastPosition = events.at(-1)?.position ?? 0;
    for (const event of events) {
      keepFirst(this.#conversations, event.conversationId, event.seq, event);
      if (event.clientMessageId) keepFirst(this.#sent, event.senderId, event.clientMessageId, event);
    }
  }

  /** Returns the event with a seq, if there is one. */
  at(conversationId: string, seq: number): DumpEvent | undefined {
    return this.#conversations.get(conversationId)?.get(seq);
  }

  /** Returns the message that a sender gave an id, if there is one. */
  sent(senderId: string, clientMessageId: string): DumpEvent | undefined {
    return this.#sent.get(senderId)?.get(clientMessageId);
  }
}

/** Returns the index of the first event above a position, of events by rising position. */
export function indexAbove(events: readonly { position: number }[], position: number): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((events[middle] as { position: number }).position > position) high = middle;
    else low = middle + 1;
  }
  return low;
}

function keepFirst<K>(
  index: Map<string, Map<K, DumpEvent>>,
  outer: string,
  inner: K,
  event: DumpEvent,
): void {
  let events = index.get(outer);
  if (events === undefined) {
    events = new Map();
    index.set(outer, events);
  }
  if (!events.has(inner)) events.set(inner, event);
}
