import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BusMessage, type LogMessage, subjects } from "../../src/bus/bus.ts";
import { createLocalBus } from "../../src/bus/local.ts";
import { parseConversationId } from "../../src/chat/ids.ts";
import { createLogFramer } from "../../src/chat/log-frame.ts";
import { createPublisher } from "../../src/chat/publisher.ts";
import { Tail } from "../../src/chat/tail.ts";
import { createSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { EventKind, type Store } from "../../src/store/store.ts";
import { settings, toGroup, toUser, unique } from "../contracts/store-support.ts";
import { eventually } from "../support/eventually.ts";
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

test("whatever a bus loses, doubles and turns round, a node hands on what concerns it once, in the order of position", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(commit, { minLength: 1, maxLength: 12 }),
      fc.array(fate, { minLength: 20, maxLength: 60 }),
      async (commits, fates) => {
        const [sender, reader, other] = [unique("sender"), unique("reader"), unique("other")];
        const [group, otherGroup] = [unique("g"), unique("g")];
        await store.createGroup(group, sender, settings(), [reader]);
        await store.createGroup(otherGroup, sender, settings(), [other]);
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
            return target.kind === "group"
              ? mine.has(subjects.group(target.groupId))
              : target.userIds.some((userId) => mine.has(subjects.user(userId)));
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
