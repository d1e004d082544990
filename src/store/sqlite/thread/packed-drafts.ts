import type { Appended, Draft } from "../../../model/records.ts";
import { joinBodies } from "./bodies.ts";

/** A draft as the writer gets it: what was left out is empty or 0. */
export interface PackedDraft {
  conversationId: string;
  senderId: string;
  recipientId: string;
  groupId: string;
  clientMessageId: string;
  replyToPosition: number;
  replyToTimeMs: number;
  body: Uint8Array;
}

/**
 * Drafts on their way to the writer. Copying one string and moving two flat
 * arrays between threads costs a fraction of copying as many objects.
 */
export interface PackedDrafts {
  /** Five strings for each, one after another: conversation, sender, recipient, group, client message id. */
  text: string;
  /** Eight numbers for each: the lengths of the strings and of the body, the position and the time of the message to reply to. */
  numbers: Float64Array<ArrayBuffer>;
  /** All bodies, one after another. */
  bodies: Uint8Array<ArrayBuffer>;
}

const numbersEach = 8;

/** Packs drafts. */
export function packDrafts(drafts: readonly Draft[]): PackedDrafts {
  const numbers = new Float64Array(drafts.length * numbersEach);
  let text = "";
  let n = 0;
  for (const draft of drafts) {
    const { conversationId, senderId, recipientId = "", groupId = "", clientMessageId, replyTo } = draft;
    text += conversationId + senderId + recipientId + groupId + clientMessageId;
    numbers[n] = conversationId.length;
    numbers[n + 1] = senderId.length;
    numbers[n + 2] = recipientId.length;
    numbers[n + 3] = groupId.length;
    numbers[n + 4] = clientMessageId.length;
    numbers[n + 5] = draft.body.length;
    if (replyTo !== undefined) {
      numbers[n + 6] = replyTo.position;
      numbers[n + 7] = replyTo.acceptTimeMs;
    }
    n += numbersEach;
  }
  return { text, numbers, bodies: joinBodies(drafts) };
}

/** Unpacks drafts; their bodies share one buffer. */
export function unpackDrafts({ text, numbers, bodies }: PackedDrafts): PackedDraft[] {
  const drafts: PackedDraft[] = [];
  let textAt = 0;
  let bodyAt = 0;
  const nextText = (length: number) => {
    const start = textAt;
    textAt += length;
    return text.slice(start, textAt);
  };
  for (let n = 0; n < numbers.length; n += numbersEach) {
    const at = (i: number) => numbers[n + i] as number;
    const bodyEnd = bodyAt + at(5);
    drafts.push({
      conversationId: nextText(at(0)),
      senderId: nextText(at(1)),
      recipientId: nextText(at(2)),
      groupId: nextText(at(3)),
      clientMessageId: nextText(at(4)),
      body: bodies.subarray(bodyAt, bodyEnd),
      replyToPosition: at(6),
      replyToTimeMs: at(7),
    });
    bodyAt = bodyEnd;
  }
  return drafts;
}

/** Results of appends on their way back, four numbers each; one that was refused is all zeros. */
export function packAppended(results: ReadonlyArray<Appended | undefined>): Float64Array<ArrayBuffer> {
  const packed = new Float64Array(results.length * 4);
  for (const [n, result] of results.entries()) {
    if (result === undefined) continue;
    packed[n * 4] = result.seq;
    packed[n * 4 + 1] = result.position;
    packed[n * 4 + 2] = result.acceptTimeMs;
    packed[n * 4 + 3] = result.duplicate ? 1 : 0;
  }
  return packed;
}

/** Reads the n-th result. */
export function unpackAppended(packed: Float64Array, n: number): Appended {
  return {
    seq: packed[n * 4] as number,
    position: packed[n * 4 + 1] as number,
    acceptTimeMs: packed[n * 4 + 2] as number,
    duplicate: packed[n * 4 + 3] === 1,
  };
}
