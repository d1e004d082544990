/**
 * Tells messages that can be relied on from those that cannot. Each carries the
 * epoch of its sender's store and a checksum over all of it, so that neither a
 * message of before a failover, nor a damaged one, nor one that somebody else
 * made is taken for what the store has. This guards against mistakes; who has
 * NATS's credentials and reads along can make the checksum, too.
 */

import { crc32 } from "node:zlib";
import type { StoreIdentity } from "../../store/ports/identity.ts";
import type { BusMessage } from "../bus.ts";
import { decodeEnvelope, decodeMessage, encodeMessage } from "./codec.ts";

/** Tags of `Envelope.epoch` and `.checksum`. */
const tag = { epoch: 0x5a, checksum: 0x65 };
const checksumSize = 5;

/**
 * What a message came to: itself; `doubtful`, when something may have happened
 * that only the store can tell; `foreign`, when it is of another epoch, or
 * damaged and nothing depends on it; undefined when its kind is of a later release.
 */
export type Unsealed = BusMessage | "doubtful" | "foreign" | undefined;

/** Seals the messages of one node and opens those of the others. */
export interface Seal {
  /** Encodes a message with epoch and checksum. @throws RangeError for a number that its field cannot hold */
  seal(message: BusMessage): Uint8Array;
  /** Decodes a message. @throws when the bytes are none */
  unseal(bytes: Uint8Array): Unsealed;
}

/** Makes the seal of nodes that have this store open, in this epoch. */
export function createSeal({ epoch, salt }: StoreIdentity): Seal {
  const seed = crc32(`${epoch}/${salt}`);
  const name = Buffer.from(epoch);
  const epochField = Buffer.from([tag.epoch, name.length, ...name]);
  const sealSize = epochField.length + checksumSize;

  return {
    seal(message) {
      const bytes = encodeMessage(message, sealSize);
      const end = bytes.length - checksumSize;
      bytes.set(epochField, bytes.length - sealSize);
      bytes[end] = tag.checksum;
      bytes.writeUInt32LE(crc32(bytes.subarray(0, end), seed), end + 1);
      return bytes;
    },
    unseal(bytes) {
      const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      const size = all.length - sealSize;
      const end = all.length - checksumSize;
      const whole =
        size >= 0 &&
        all[end] === tag.checksum &&
        all.compare(epochField, 0, epochField.length, size, end) === 0 &&
        crc32(all.subarray(0, end), seed) === all.readUInt32LE(end + 1);
      return whole ? decodeMessage(all.subarray(0, size)) : judge(decodeEnvelope(all), epoch);
    },
  };
}

/** Says what a message without a good seal is worth. */
function judge({ message, epoch: named }: { message?: BusMessage; epoch?: string }, epoch: string): Unsealed {
  switch (message?.type) {
    case undefined:
      return undefined;
    // Operators see, and can drain, a node that has yet to notice that the store was replaced.
    case "node":
    case "nodeQuery":
    case "drainNode":
      return named === epoch ? "foreign" : message;
    case "log":
    case "notice":
    case "logout":
      return named === undefined || named === epoch ? "doubtful" : "foreign";
    // Of who is connected where, the release before knows what this one does, and no store does.
    default:
      return named === undefined ? message : "foreign";
  }
}
