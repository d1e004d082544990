import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BusMessage } from "../../src/bus/bus.ts";
import { decodeAny, encodeAny, encodeMessage } from "../../src/bus/nats/codec.ts";
import { createSeal } from "../../src/bus/nats/seal.ts";
import { everyMessage } from "../contracts/bus.ts";
import { seed } from "../support/seed.ts";
import { testEpoch } from "../support/test-epoch.ts";

const ours = createSeal(testEpoch);
const ofBefore = createSeal({ ...testEpoch, epoch: "before" });
const messages = Object.values(everyMessage);
/** What only the store can say. */
const ofTheStore = new Set<BusMessage["type"]>(["log", "notice", "logout"]);
/** What a node says of itself, whatever its store. */
const ofNodes = new Set<BusMessage["type"]>(["node", "nodeQuery", "drainNode"]);

describe.each(messages)("a message of the kind $type", (message) => {
  test("is believed between nodes of one epoch, and read by the release before", () => {
    const bytes = ours.seal(message);
    expect(ours.unseal(bytes)).toEqual(message);
    expect(decodeAny(bytes)).toEqual(message);
  });

  test("of another epoch counts only where it tells of a node", () => {
    expect(ours.unseal(ofBefore.seal(message))).toEqual(ofNodes.has(message.type) ? message : "foreign");
    const otherStore = createSeal({ ...testEpoch, salt: testEpoch.salt + 1 });
    expect(ours.unseal(otherStore.seal(message))).not.toEqual(message);
  });

  test("without an epoch, as of the release before, is no truth about the store", () => {
    const wanted = ofTheStore.has(message.type) ? "doubtful" : message;
    for (const bytes of [encodeAny(message), encodeMessage(message)])
      expect(ours.unseal(bytes)).toEqual(wanted);
  });

  test("is not believed with any of its bits changed", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 7 }), fc.nat({ max: 3 }), (place, bit, cut) => {
        const bytes = ours.seal(message);
        const at = place % bytes.length;
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        let result: unknown;
        try {
          result = ours.unseal(bytes.subarray(0, bytes.length - cut));
        } catch {
          return;
        }
        const type = (result as Partial<BusMessage> | undefined)?.type;
        expect(type !== undefined && ofTheStore.has(type)).toBe(false);
      }),
      { seed: seed(), numRuns: 300 },
    );
  });
});
