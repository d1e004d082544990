/**
 * Bodies with holes. The body of a group's event tells its seq and time, which
 * only the database knows, at the moment it appends. So it is made with numbers
 * that stand for them, cut to pieces there, and put together by the database.
 *
 * The stand-ins are varints of many bytes, all of them between 80 and BF
 * hexadecimal but the last: more in a row than valid UTF-8 or any smaller number
 * ever has. Varints may be longer than they have to be, so what takes their
 * place is as long as they are, and no length around it changes.
 */

const secondsBytes = 7;
const nanosBytes = 5;
const seqBytes = 8;
/** The low bytes of a seq's stand-in tell the event's number. */
const seqTailBytes = 6;

/** The hole of the time. Those of seqs are the numbers of events, from 1. */
export const timeHole = 0;
/** No hole: the end of a body. */
export const noHole = -1;

/** A body in pieces, each with the hole that follows it. */
export type Template = Array<{ piece: Uint8Array; hole: number }>;

/** The numbers that stand for what is not known yet, drawn anew for each change. */
export class StandIns {
  readonly timeMs: number;
  readonly #firstSeq: number;
  readonly #time: Uint8Array;
  readonly #seqTail: Uint8Array;

  constructor(random: () => number = Math.random) {
    const seconds = draw(random, secondsBytes);
    this.timeMs = seconds * 1000 + 999;
    this.#time = timestampOf(this.timeMs);
    const seq = draw(random, seqBytes);
    this.#firstSeq = seq - (seq % 128 ** (seqBytes - seqTailBytes));
    this.#seqTail = varint(this.#firstSeq, seqBytes).subarray(seqBytes - seqTailBytes);
  }

  /** Stands for the seq of an event, by its number from 1 to 16,383. */
  seqOf(event: number): number {
    return this.#firstSeq + event;
  }

  /** Returns the number of the event that a seq stands for, 0 when it is a real seq. */
  eventOf(seq: number): number {
    const event = seq - this.#firstSeq;
    return event > 0 && event < 128 ** (seqBytes - seqTailBytes) ? event : 0;
  }

  /** Cuts a body at its stand-ins. */
  cut(body: Uint8Array): Template {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
    const template: Template = [];
    let from = 0;
    let time = bytes.indexOf(this.#time);
    let seq = bytes.indexOf(this.#seqTail);
    while (time >= 0 || seq >= 0) {
      if (time >= 0 && (seq < 0 || time < seq)) {
        template.push({ piece: bytes.subarray(from, time), hole: timeHole });
        from = time + this.#time.length;
        time = bytes.indexOf(this.#time, from);
      } else {
        const start = seq - (seqBytes - seqTailBytes);
        const event = ((bytes[start] as number) & 127) + ((bytes[start + 1] as number) & 127) * 128;
        template.push({ piece: bytes.subarray(from, start), hole: event });
        from = start + seqBytes;
        seq = bytes.indexOf(this.#seqTail, from);
      }
    }
    template.push({ piece: bytes.subarray(from), hole: noHole });
    return template;
  }
}

/** Puts a body together as the database does. `baseSeq` is the seq before the first event of the change. */
export function fill(template: Template, timeMs: number, baseSeq: number): Uint8Array {
  const time = timestampOf(timeMs);
  const parts = template.flatMap(({ piece, hole }) => {
    if (hole === noHole) return [piece];
    return [piece, hole === timeHole ? time : varint(baseSeq + hole, seqBytes)];
  });
  return new Uint8Array(Buffer.concat(parts));
}

/** The fields of a `google.protobuf.Timestamp`, of fixed length. */
function timestampOf(timeMs: number): Uint8Array {
  return Buffer.concat([
    Buffer.of(0x08),
    varint(Math.floor(timeMs / 1000), secondsBytes),
    Buffer.of(0x10),
    varint((timeMs % 1000) * 1_000_000, nanosBytes),
  ]);
}

function varint(value: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let rest = value;
  for (let n = 0; n < length; n++) {
    bytes[n] = (rest % 128) | (n < length - 1 ? 128 : 0);
    rest = Math.floor(rest / 128);
  }
  return bytes;
}

/** Draws a number whose varint has that many bytes, all but the last between 80 and BF hexadecimal. */
function draw(random: () => number, length: number): number {
  let value = 1;
  for (let n = 1; n < length; n++) value = value * 128 + Math.floor(random() * 64);
  return value;
}
