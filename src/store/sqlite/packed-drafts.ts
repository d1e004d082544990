import type { Appended, Draft } from "../store.ts";
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
 * Drafts on their way to the writer. Copying few flat arrays between threads
 * costs a fraction of copying as many objects.
 */
export interface PackedDrafts {
  /** Five for each: conversation, sender, recipient, group, client message id. */
  strings: string[];
  /** Three for each: the length of the body, the position and the time of the message to reply to. */
  numbers: number[];
  /** All bodies, one after another. */
  bodies: Uint8Array<ArrayBuffer>;
}

/** Packs drafts. */
export function packDrafts(drafts: readonly Draft[]): PackedDrafts {
  const strings: string[] = [];
  const numbers: number[] = [];
  for (const draft of drafts) {
    strings.push(draft.conversationId, draft.senderId, draft.recipientId ?? "", draft.groupId ?? "");
    strings.push(draft.clientMessageId);
    numbers.push(draft.body.length, draft.replyTo?.position ?? 0, draft.replyTo?.acceptTimeMs ?? 0);
  }
  return { strings, numbers, bodies: joinBodies(drafts) };
}

/** Unpacks drafts; their bodies share one buffer. */
export function unpackDrafts({ strings, numbers, bodies }: PackedDrafts): PackedDraft[] {
  const drafts: PackedDraft[] = [];
  let offset = 0;
  for (let n = 0, s = 0; n < numbers.length; n += 3, s += 5) {
    const end = offset + (numbers[n] as number);
    drafts.push({
      conversationId: strings[s] as string,
      senderId: strings[s + 1] as string,
      recipientId: strings[s + 2] as string,
      groupId: strings[s + 3] as string,
      clientMessageId: strings[s + 4] as string,
      replyToPosition: numbers[n + 1] as number,
      replyToTimeMs: numbers[n + 2] as number,
      body: bodies.subarray(offset, end),
    });
    offset = end;
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
