import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type BusMessage, type LogMessage, subjects } from "../../src/bus/bus.ts";
import { createLocalBus } from "../../src/bus/local.ts";
import { encodeAny } from "../../src/bus/nats/codec.ts";
import { createSeal } from "../../src/bus/nats/seal.ts";
import { createPublisher } from "../../src/live/publisher.ts";
import { Tail } from "../../src/live/tail.ts";
import { createSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { Store } from "../../src/store/store.ts";
import { createLogFramer } from "../../wire/event-frame.ts";
import { parseConversationId } from "../../wire/ids.ts";
import { EventKind, type LogEvent } from "../../wire/log-event.ts";
import { settings, toGroup, toUser, unique } from "../contracts/store-support.ts";
import { eventually } from "../support/eventually.ts";
import { groupChanges } from "../support/group-changes.ts";
import { seed } from "../support/seed.ts";

let store: Store;
const folder = mkdtempSync(join(tmpdir(), "parlance-tail-"));
beforeAll(async () => {
  store = await createSqliteStore({ path: join(folder, "chat.db") });
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

/** What happens to a message on its way: it is lost, doubled, or comes after as many others. */
type Fate = "lost" | "doubled" | number;
const fate: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 8 }) },
  { weight: 1, arbitrary: fc.constant("lost" as const) },
  { weight: 1, arbitrary: fc.constant("doubled" as const) },
);
/** A commit: to whom each of its messages goes. The node has readers of the first two kinds only. */
const commit = fc.array(fc.constantFrom("reader", "group", "other", "other-group"), {
  minLength: 1,
  maxLength: 6,
});

/** What becomes of a message between two nodes, and what comes with it that nobody of this service sent. */
type Wrong =
  | { as: "itself" | "of another epoch" | "of no epoch" }
  | { as: "damaged"; place: number; bit: number }
  | { as: "forged"; position: number; subjects: (readonly string[])[]; frame: Uint8Array };
const wrong: fc.Arbitrary<Wrong> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ as: fc.constantFrom("itself", "of another epoch", "of no epoch") }) },
  {
    weight: 2,
    arbitrary: fc.record({
      as: fc.constant("damaged" as const),
      place: fc.nat(),
      bit: fc.integer({ min: 0, max: 7 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      as: fc.constant("forged" as const),
      // Behind the log's end, the next ones, far ahead.
      position: fc.oneof(fc.integer({ min: -9, max: 9 }), fc.constantFrom(-(2 ** 52), 10 ** 6, 2 ** 52)),
      subjects: fc.array(fc.constantFrom([], [subjects.user("nobody")], [subjects.group("none")]), {
        maxLength: 20,
      }),
      frame: fc.uint8Array({ maxLength: 50 }),
    }),
  },
);

/** Makes the end of the log as a node with one reader sees it. */
async function createReader(reader: string, readTail: Store["readTail"]) {
  const frame = createLogFramer(store.epoch, store.salt);
  const got: LogMessage[] = [];
  const mine = subjects.user(reader);
  const tail = new Tail({
    store: { readTail },
    frame,
    seen: await store.lastPosition(),
    connected: () => true,
    concernsSubjects: (all) => all.includes(mine),
    concerns: ({ conversationId }) => {
      const target = parseConversationId(conversationId);
      return target?.kind === "direct" && target.userIds.includes(reader);
    },
    deliver: (message) => void got.push(message),
    onError: (error) => expect.fail(String(error)),
  });
  return { tail, got, frame, mine };
}

test("whatever wrong messages a bus brings, of another epoch, damaged or forged, a node hands on the log and nothing else", async () => {
  const ours = createSeal(store);
  const ofBefore = createSeal({ ...store, epoch: "before" });
  await fc.assert(
    fc.asyncProperty(fc.array(wrong, { minLength: 10, maxLength: 60 }), async (wrongs) => {
      const [sender, reader, other] = [unique("sender"), unique("reader"), unique("other")];
      const from = await store.lastPosition();
      const { tail, got, frame, mine } = await createReader(reader, store.readTail);
      const arrive = (bytes: Uint8Array) => {
        let message: ReturnType<typeof ours.unseal>;
        try {
          message = ours.unseal(bytes);
        } catch {
          return;
        }
        if (message === "doubtful") tail.doubt();
        else if (message === undefined || message === "foreign") return;
        else if (message.type === "log") tail.accept(message);
        else if (message.type === "notice") tail.notice(message);
      };
      let sent = 0;
      const bus = {
        ...createLocalBus(),
        publish(subject: string, message: BusMessage) {
          if (subject !== subjects.log && subject !== mine) return;
          const how = wrongs[sent++ % wrongs.length] as Wrong;
          const bytes = ours.seal(message);
          if (how.as === "forged") {
            const { frame: forged, subjects: named } = how;
            const position = tail.seen + how.position;
            const event = { conversationId: "c", seq: 1, kind: EventKind.MESSAGE, frame: forged };
            arrive(encodeAny({ type: "log", position, ...event }));
            arrive(encodeAny({ type: "notice", firstPosition: position, subjects: named }));
            // Even one with a good seal, as of a node that errs, is not believed of what the log does not have.
            if (how.position >= 10 ** 6) {
              arrive(ours.seal({ type: "log", position, ...event }));
              arrive(ours.seal({ type: "notice", firstPosition: position, subjects: named }));
            }
          }
          if (how.as === "damaged")
            bytes[how.place % bytes.length] = (bytes[how.place % bytes.length] ?? 0) ^ (1 << how.bit);
          if (how.as === "of another epoch") arrive(ofBefore.seal(message));
          else if (how.as === "of no epoch") arrive(encodeAny(message));
          else arrive(bytes);
        },
      };
      const end = store.onAppended(createPublisher(bus, frame));
      try {
        for (let i = 0; i < 12; i++)
          await Promise.all([reader, other, reader].map((to) => store.append(toUser(sender, to))));
        // The poll of every second finds what nothing else tells of. One that is under way may have begun too early.
        await tail.read();
        await tail.read();
      } finally {
        end();
        tail.close();
      }
      const events = (await store.readTail(from, 1_000)).filter(
        ({ conversationId }) => conversationId === toUser(sender, reader).conversationId,
      );
      expect(got.map((message) => [message.position, Buffer.from(message.frame)])).toEqual(
        events.map((event) => [event.position, Buffer.from(frame(event))]),
      );
      expect(tail.seen).toBe(await store.lastPosition());
    }),
    { seed: seed(), numRuns: 60 },
  );
});

test("a message of before a failover is not taken for the event that took its position", async () => {
  const [sender, reader] = [unique("sender"), unique("reader")];
  const { tail, got, frame } = await createReader(reader, store.readTail);
  const before = { epoch: "before", salt: store.salt };
  const stale = createLogFramer(before.epoch, before.salt);
  const appended = await store.append(toUser(sender, reader));
  const [event] = (await store.readTail(appended.position - 1, 1)) as [LogEvent];
  const lost = createSeal(before).seal({ type: "log", ...event, frame: stale(event) });
  expect(createSeal(store).unseal(lost)).toBe("foreign");
  await tail.read();
  expect(got.map((message) => Buffer.from(message.frame))).toEqual([Buffer.from(frame(event))]);
  tail.close();
});

test("messages far ahead of the log cost a read each second at most, and what was said is forgotten", async () => {
  vi.useFakeTimers();
  try {
    let reads = 0;
    const { tail, got } = await createReader("reader", async () => {
      reads++;
      return [];
    });
    const ahead = tail.seen + 1_000_000;
    tail.notice({ type: "notice", firstPosition: ahead, subjects: [["user.reader"]] });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(reads).toBe(1);
    for (let i = 0; i < 6_000; i++) {
      tail.notice({ type: "notice", firstPosition: ahead + i, subjects: [["user.reader"], []] });
      if (i % 3 === 0) tail.doubt();
      await vi.advanceTimersByTimeAsync(10);
    }
    expect(reads).toBeLessThan(75);
    expect(got).toEqual([]);
    tail.close();
  } finally {
    vi.useRealTimers();
  }
});

test("whatever a bus loses, doubles and turns round, a node hands on what concerns it once, in the order of position", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(commit, { minLength: 1, maxLength: 12 }),
      fc.array(fate, { minLength: 20, maxLength: 60 }),
      async (commits, fates) => {
        const [sender, reader, other] = [unique("sender"), unique("reader"), unique("other")];
        const [group, otherGroup] = [unique("g"), unique("g")];
        await groupChanges(store).createGroup(group, sender, settings(), [reader]);
        await groupChanges(store).createGroup(otherGroup, sender, settings(), [other]);
        const mine = new Set([subjects.user(reader), subjects.group(group)]);
        const frame = createLogFramer(store.epoch, store.salt);
        const got: LogMessage[] = [];
        const errors: unknown[] = [];
        const from = await store.lastPosition();
        const tail = new Tail({
          store,
          frame,
          seen: from,
          connected: () => true,
          concernsSubjects: (all) => all.some((subject) => mine.has(subject)),
          concerns: ({ conversationId, kind }) => {
            const target = parseConversationId(conversationId);
            if (kind === EventKind.MEMBERSHIP || target === undefined) return true;
            if (target.kind === "group") return mine.has(subjects.group(target.groupId));
            const userIds = target.kind === "direct" ? target.userIds : [target.userId];
            return userIds.some((userId) => mine.has(subjects.user(userId)));
          },
          deliver: (message) => void got.push(message),
          onError: (error) => void errors.push(error),
        });

        // The bus between the nodes: what this node is subscribed to, as fate has it.
        let sent = 0;
        let waiting: { after: number; message: BusMessage }[] = [];
        const arrive = (message: BusMessage) => {
          if (message.type === "log") tail.accept(message);
          else if (message.type === "notice") tail.notice(message);
        };
        const bus = {
          ...createLocalBus(),
          publish(subject: string, message: BusMessage) {
            if (subject !== subjects.log && !mine.has(subject)) return;
            const how = fates[sent++ % fates.length];
            if (how === "lost") return;
            waiting.push({ after: typeof how === "number" ? how : 0, message });
            if (how === "doubled") waiting.push({ after: 3, message });
            for (const each of waiting) if (each.after-- <= 0) arrive(each.message);
            waiting = waiting.filter((each) => each.after >= 0);
          },
        };
        const end = store.onAppended(createPublisher(bus, frame));
        try {
          for (const recipients of commits) {
            await Promise.all(
              recipients.map((to) =>
                store.append(
                  to === "reader" || to === "other"
                    ? toUser(sender, to === "reader" ? reader : other)
                    : toGroup(sender, to === "group" ? group : otherGroup),
                ),
              ),
            );
          }
          for (const { message } of waiting) arrive(message);
          // The poll of every second finds what nothing else tells of.
          await tail.read();
          const last = await store.lastPosition();
          await eventually(() => tail.seen === last);
        } finally {
          end();
          tail.close();
        }
        expect(errors).toEqual([]);
        const wanted = (await store.readTail(from, 1_000)).filter(
          ({ conversationId }) =>
            conversationId === toGroup(sender, group).conversationId ||
            conversationId === toUser(sender, reader).conversationId,
        );
        expect(got.map(({ position }) => position)).toEqual(wanted.map(({ position }) => position));
        expect(got.map(({ seq, frame: bytes }) => [seq, Buffer.from(bytes)])).toEqual(
          wanted.map((event) => [event.seq, Buffer.from(frame(event))]),
        );
      },
    ),
    { seed: seed(), numRuns: 60 },
  );
});

test("an event that is announced and does not come is read from the store, without a later one", async () => {
  const [a, b] = [unique("a"), unique("b")];
  const frame = createLogFramer(store.epoch, store.salt);
  const got: number[] = [];
  const tail = new Tail({
    store,
    frame,
    seen: await store.lastPosition(),
    connected: () => true,
    concernsSubjects: (all) => all.includes(subjects.user(b)),
    concerns: () => true,
    deliver: ({ position }) => void got.push(position),
    onError: (error) => expect.fail(String(error)),
  });
  const { position } = await store.append(toUser(a, b));
  tail.notice({ type: "notice", firstPosition: position, subjects: [[subjects.user(a), subjects.user(b)]] });
  expect(got).toEqual([]);
  await eventually(() => got.length > 0);
  expect(got).toEqual([position]);
  tail.close();
});
