import type { ChatMessage } from "../../../clients/typescript/index.ts";
import type { Latencies } from "./latencies.ts";

/** The state of a message for one user. */
const Mark = { NONE: 0, EXPECTED: 1, RECEIVED: 2, OWN: 3, OWN_RECEIVED: 4 } as const;

/** A message that was sent. */
interface Entry {
  text: string;
  senderId: string;
  /** A `Mark` for each user. */
  marks: Uint8Array;
  sentAtMs: number;
  /** Its seq as the first to tell said; 0 before. */
  seq: number;
}

/** The summary of a replay's deliveries. */
export interface Tally {
  expected: number;
  received: number;
  /** Deliveries that were not expected, or not any more. */
  duplicated: number;
  /** Messages that came with a seq not above the one before in their conversation, or not the seq others saw. */
  outOfOrder: number;
  /** Messages whose text, sender or id is not what was sent. */
  contentMismatches: number;
}

/**
 * Keeps what each user of a day is to receive and compares it with what they
 * do. Users are numbers from 0.
 */
export class Ledger {
  readonly tally: Tally;
  /** Expected deliveries that have not come. */
  outstanding = 0;
  readonly #userCount: number;
  readonly #latencies: Latencies;
  readonly #prefix: string;
  readonly #entries: Entry[] = [];
  readonly #lastSeqs: Map<string, number>[];

  /**
   * @param prefix makes the ids of this day's messages unlike all others
   * @param tally counts on from there
   */
  constructor(userCount: number, prefix: string, tally: Tally, latencies: Latencies) {
    this.#userCount = userCount;
    this.#prefix = `${prefix}.`;
    this.tally = tally;
    this.#latencies = latencies;
    this.#lastSeqs = Array.from({ length: userCount }, () => new Map());
  }

  /**
   * Notes a message right before it is sent.
   *
   * @param recipients the users that are to receive it; the sender, if among them, does not count
   * @returns the `client_message_id` to send it with
   */
  expect(text: string, sender: number, senderId: string, recipients: Iterable<number>): string {
    const marks = new Uint8Array(this.#userCount);
    let count = 0;
    for (const user of recipients) {
      if (user === sender) continue;
      marks[user] = Mark.EXPECTED;
      count++;
    }
    // A sender's own stream shows the message too.
    marks[sender] = Mark.OWN;
    this.tally.expected += count;
    this.outstanding += count;
    this.#entries.push({ text, senderId, marks, sentAtMs: performance.now(), seq: 0 });
    return this.#prefix + (this.#entries.length - 1);
  }

  /** Notes the answer to a send. */
  answered(clientMessageId: string, seq: number): void {
    const entry = this.#entryOf(clientMessageId);
    if (entry !== undefined) this.#compareSeq(entry, seq);
  }

  /** Notes what a user received. */
  receive(user: number, message: ChatMessage): void {
    const { tally } = this;
    const entry = this.#entryOf(message.clientMessageId);
    if (entry === undefined) {
      tally.duplicated++;
      return;
    }
    const mark = entry.marks[user];
    if (mark === Mark.EXPECTED) {
      entry.marks[user] = Mark.RECEIVED;
      tally.received++;
      this.outstanding--;
      this.#latencies.add(performance.now() - entry.sentAtMs);
    } else if (mark === Mark.OWN) {
      entry.marks[user] = Mark.OWN_RECEIVED;
    } else {
      tally.duplicated++;
      return;
    }
    const kind = message.content?.kind;
    const text = kind?.case === "text" ? kind.value.body : undefined;
    if (text !== entry.text || message.senderId !== entry.senderId) tally.contentMismatches++;
    this.#checkOrder(user, message.conversationId, Number(message.seq));
    this.#compareSeq(entry, Number(message.seq));
  }

  #checkOrder(user: number, conversationId: string, seq: number): void {
    const lastSeqs = this.#lastSeqs[user] as Map<string, number>;
    const last = lastSeqs.get(conversationId);
    if (last !== undefined && seq <= last) this.tally.outOfOrder++;
    else lastSeqs.set(conversationId, seq);
  }

  #compareSeq(entry: Entry, seq: number): void {
    if (entry.seq === 0) entry.seq = seq;
    else if (entry.seq !== seq) this.tally.outOfOrder++;
  }

  #entryOf(clientMessageId: string): Entry | undefined {
    if (!clientMessageId.startsWith(this.#prefix)) return undefined;
    return this.#entries[Number(clientMessageId.slice(this.#prefix.length))];
  }
}
