import fc from "fast-check";
import { expect, test } from "vitest";
import { createConcatenation } from "../../src/live/frame-concatenation.ts";
import { Outbox, type OutboxOptions } from "../../src/live/outbox.ts";
import { seed } from "../support/seed.ts";

/** An outbox that has nothing to refill with. */
function makeOutbox(options: Partial<OutboxOptions> = {}): { outbox: Outbox; taken: number[] } {
  const taken: number[] = [];
  const outbox = new Outbox({
    maxBytes: 1_000,
    chunkBytes: 100,
    concatenate: createConcatenation(),
    refill: () => undefined,
    onTaken: (position) => void taken.push(position),
    ...options,
  });
  return { outbox, taken };
}

/** A frame of a given size whose bytes tell it from others. */
const frame = (size: number, byte = 0) => new Uint8Array(size).fill(byte);

/** Takes everything that waits, to the end of the outbox. */
async function takeAll(outbox: Outbox): Promise<Uint8Array[]> {
  outbox.end();
  const chunks: Uint8Array[] = [];
  for await (const chunk of outbox) chunks.push(chunk);
  return chunks;
}

test("an outbox holds at most its bytes of log events, or one event that is larger", () => {
  const { outbox } = makeOutbox();
  expect(outbox.pushLog(frame(5_000), 1)).toBe(true);
  expect(outbox.pushLog(frame(1), 2)).toBe(false);
  expect(outbox.bytes).toBe(5_000);

  const { outbox: exact } = makeOutbox();
  expect(exact.pushLog(frame(600), 1)).toBe(true);
  expect(exact.pushLog(frame(400), 2)).toBe(true);
  expect(exact.pushLog(frame(1), 3)).toBe(false);
  expect(exact.bytes).toBe(1_000);
});

test("there is room again once the reader has taken what waits", async () => {
  const { outbox } = makeOutbox();
  outbox.pushLog(frame(1_000), 1);
  expect(outbox.pushLog(frame(10), 2)).toBe(false);
  await outbox.next();
  expect(outbox.bytes).toBe(0);
  expect(outbox.pushLog(frame(10), 2)).toBe(true);
});

test("whatever is pushed is handed out whole and in order, and never more than a chunk of several at once", async () => {
  const pushes = fc.array(
    fc.record({
      lane: fc.constantFrom("log", "read", "reply", "ephemeral"),
      size: fc.integer({ min: 1, max: 300 }),
    }),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(pushes, fc.integer({ min: 1, max: 400 }), async (pushes, chunkBytes) => {
      const { outbox, taken } = makeOutbox({ maxBytes: 2_000, chunkBytes });
      const accepted: { size: number; byte: number }[] = [];
      let lastPosition = 0;
      for (const [i, { lane, size }] of pushes.entries()) {
        const byte = (i + 1) % 256;
        const bytesBefore = outbox.bytes;
        let isIn = true;
        if (lane === "log") {
          isIn = outbox.pushLog(frame(size, byte), i + 1);
          expect(isIn).toBe(bytesBefore === 0 || bytesBefore + size <= 2_000);
        } else if (lane === "read") {
          outbox.pushRead(frame(size, byte), i + 1);
        } else if (lane === "reply") {
          outbox.pushReply(frame(size, byte));
        } else {
          outbox.pushEphemeral(frame(size, byte));
          isIn = bytesBefore <= 1_000;
        }
        if (isIn) accepted.push({ size, byte });
        if (isIn && (lane === "log" || lane === "read")) lastPosition = i + 1;
        expect(outbox.bytes - bytesBefore).toBe(isIn && lane !== "reply" ? size : 0);
      }
      const chunks = await takeAll(outbox);
      expect(Buffer.concat(chunks)).toEqual(
        Buffer.concat(accepted.map(({ size, byte }) => frame(size, byte))),
      );
      const largest = Math.max(0, ...accepted.map(({ size }) => size));
      for (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(Math.max(chunkBytes, largest));
      expect(Math.max(0, ...taken)).toBe(lastPosition);
      expect(outbox.bytes).toBe(0);
      expect(outbox.replies).toBe(0);
    }),
    { seed: seed(), numRuns: 300 },
  );
});

test("an idle reader gets each event at once, by itself and uncopied", async () => {
  const { outbox } = makeOutbox();
  for (let i = 1; i <= 3; i++) {
    const next = outbox.next();
    const pushed = frame(20, i);
    outbox.pushLog(pushed, i);
    expect((await next).value).toBe(pushed);
  }
});

test("events pushed before the reader is woken are handed out as one, and a reply wakes the reader at once", async () => {
  const sleepers: Outbox[] = [];
  const { outbox } = makeOutbox({ wakeSoon: (sleeper) => void sleepers.push(sleeper) });
  const first = outbox.next();
  for (let i = 1; i <= 3; i++) outbox.pushLog(frame(10, i), i);
  expect(sleepers).toEqual([outbox]);
  outbox.wake();
  expect((await first).value).toHaveLength(30);

  const second = outbox.next();
  outbox.pushLog(frame(10, 4), 4);
  outbox.pushReply(frame(10, 5));
  expect((await second).value).toHaveLength(20);

  // A reader that waits again is woken again, whatever became of earlier calls.
  const third = outbox.next();
  outbox.pushEphemeral(frame(10, 6));
  expect(sleepers).toHaveLength(3);
  for (const sleeper of sleepers) sleeper.wake();
  expect((await third).value).toHaveLength(10);
});

test("ephemeral events are dropped when the outbox is over half full, and others are not", async () => {
  const { outbox } = makeOutbox();
  outbox.pushLog(frame(500, 1), 1);
  outbox.pushEphemeral(frame(10, 2));
  outbox.pushEphemeral(frame(10, 3));
  expect(outbox.pushLog(frame(100, 4), 2)).toBe(true);
  outbox.pushReply(frame(10, 5));
  const bytes = Buffer.concat(await takeAll(outbox));
  expect(new Set(bytes)).toEqual(new Set([1, 2, 4, 5]));
});

test("replies are never dropped, however many, and take no room from events", async () => {
  const { outbox } = makeOutbox();
  for (let i = 0; i < 1_000; i++) outbox.pushReply(frame(10, 1));
  expect(outbox.replies).toBe(1_000);
  expect(outbox.bytes).toBe(0);
  expect(outbox.pushLog(frame(1_000, 2), 1)).toBe(true);
  outbox.dropEvents();
  expect(outbox.bytes).toBe(0);
  const bytes = Buffer.concat(await takeAll(outbox));
  expect(bytes).toHaveLength(10_000);
  expect(new Set(bytes)).toEqual(new Set([1]));
});

test("an empty outbox asks to be refilled only while a reader waits, and hands out what it got", async () => {
  let asked = 0;
  const pages = [[1, 2], [3]];
  const { outbox } = makeOutbox({
    chunkBytes: 1,
    refill: () => {
      asked++;
      const page = pages.shift();
      if (page === undefined) return undefined;
      return Promise.resolve().then(() => {
        for (const position of page) outbox.pushRead(frame(10, position), position);
      });
    },
  });
  expect(asked).toBe(0);
  for (const position of [1, 2, 3]) expect((await outbox.next()).value?.[0]).toBe(position);
  expect(asked).toBe(2);
});

test("a reply does not wait for the log to be read", async () => {
  let finish = (): void => {};
  const { outbox } = makeOutbox({
    refill: () =>
      new Promise((resolve) => {
        finish = resolve;
      }),
  });
  const next = outbox.next();
  outbox.pushReply(frame(10, 7));
  expect((await next).value?.[0]).toBe(7);
  finish();
});

test("the reader gets what waits before the end or the error, and nothing is taken in after it", async () => {
  for (const error of [undefined, new Error("over")]) {
    const { outbox } = makeOutbox();
    outbox.pushLog(frame(10, 1), 1);
    outbox.end(error);
    outbox.pushReply(frame(10, 2));
    outbox.pushEphemeral(frame(10, 3));
    expect(outbox.pushLog(frame(10, 4), 2)).toBe(true);
    expect([...((await outbox.next()).value ?? [])]).toEqual(Array(10).fill(1));
    if (error === undefined) expect(await outbox.next()).toEqual({ done: true, value: undefined });
    else await expect(outbox.next()).rejects.toBe(error);
    expect(await outbox.next()).toEqual({ done: true, value: undefined });
  }
});

test("a discarded outbox lets go of everything and ends its reader", async () => {
  const { outbox } = makeOutbox();
  const waiting = outbox.next();
  outbox.discard();
  expect(await waiting).toEqual({ done: true, value: undefined });

  const { outbox: full } = makeOutbox();
  full.pushLog(frame(10), 1);
  full.pushReply(frame(10));
  await full.return();
  expect(full.bytes).toBe(0);
  expect(full.replies).toBe(0);
  expect(await full.next()).toEqual({ done: true, value: undefined });
});

test("outboxes with the same events waiting hand out one copy, others their own", async () => {
  const concatenate = createConcatenation();
  const [first, second, third] = [
    makeOutbox({ concatenate }),
    makeOutbox({ concatenate }),
    makeOutbox({ concatenate }),
  ] as const;
  const [a, b, c] = [frame(10, 1), frame(20, 2), frame(20, 3)];
  for (const { outbox } of [first, second]) for (const each of [a, b]) outbox.pushLog(each, 1);
  for (const each of [a, c]) third.outbox.pushLog(each, 1);
  const [one] = await takeAll(first.outbox);
  const [same] = await takeAll(second.outbox);
  const [other] = await takeAll(third.outbox);
  expect(one).toEqual(Buffer.concat([a, b]));
  expect(same).toBe(one);
  expect(other).toEqual(Buffer.concat([a, c]));
});

test("a sink gets everything, a chunk at a time, and in the end the error", async () => {
  const { outbox } = makeOutbox();
  const got: number[] = [];
  const taken: (() => void)[] = [];
  const ended = outbox.pipe((chunk, next) => {
    got.push(chunk.length);
    taken.push(next);
  });
  outbox.pushReply(frame(1));
  outbox.pushReply(frame(2));
  outbox.pushReply(frame(3));
  expect(got).toEqual([1]);
  taken.shift()?.();
  expect(got).toEqual([1, 5]);
  outbox.end(new Error("over"));
  taken.shift()?.();
  await expect(ended).rejects.toThrow("over");
});

test("a sink that never takes its chunk does not keep an outbox that is discarded", async () => {
  const { outbox } = makeOutbox();
  const ended = outbox.pipe(() => {});
  outbox.pushLog(frame(1), 1);
  outbox.discard();
  await ended;
});

test("a sink gets what a refill finds, also when something is pushed meanwhile", async () => {
  let refills = 0;
  const { outbox } = makeOutbox({
    refill: () => {
      if (++refills > 2) return undefined;
      return Promise.resolve().then(() => outbox.pushRead(frame(10 * refills), refills));
    },
  });
  const got: number[] = [];
  const ended = outbox.pipe((chunk, next) => {
    got.push(chunk.length);
    setImmediate(next);
  });
  outbox.pushReply(frame(1));
  while (refills < 3) await new Promise(setImmediate);
  outbox.end();
  await ended;
  expect(got.reduce((sum, size) => sum + size, 0)).toBe(1 + 10 + 20);
});

test("what a reader was given counts as taken when it comes back, and not when it fails to write it", async () => {
  const { outbox, taken } = makeOutbox({ chunkBytes: 10 });
  outbox.pushLog(frame(10), 1);
  outbox.pushLog(frame(10), 2);
  await outbox.next();
  expect(taken).toEqual([]);
  await outbox.next();
  expect(taken).toEqual([1]);
  await outbox.return();
  expect(await outbox.next()).toMatchObject({ done: true });
  expect(taken).toEqual([1]);
});
