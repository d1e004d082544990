import fc from "fast-check";
import { expect, test } from "vitest";
import { parseConversationId } from "../../../wire/ids.ts";
import { seed } from "../../support/seed.ts";
import type { Dump, DumpEvent } from "../dump.ts";
import type { Entry, History, Operation } from "../history.ts";
import { check } from "./checker.ts";
import { SoundRun, seenOf } from "./sound-run.ts";

/** Something that happens in a run. The numbers index users, clients and groups. */
interface Step {
  type: "send" | "join" | "leave" | "add" | "remove" | "open" | "cut" | "skip" | "deliver";
  client: number;
  peer: number;
  group: number;
  count: number;
  retried: boolean;
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    type: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom("send" as const) },
      { weight: 4, arbitrary: fc.constantFrom("join" as const, "leave" as const) },
      { weight: 2, arbitrary: fc.constantFrom("add" as const, "remove" as const) },
      { weight: 4, arbitrary: fc.constantFrom("open" as const, "cut" as const) },
      { weight: 1, arbitrary: fc.constantFrom("skip" as const) },
      { weight: 6, arbitrary: fc.constantFrom("deliver" as const) },
    ),
    client: fc.nat(5),
    peer: fc.nat(4),
    group: fc.nat(2),
    count: fc.integer({ min: 1, max: 4 }),
    retried: fc.boolean(),
  }),
  { minLength: 10, maxLength: 120 },
);

const userIds = ["ann", "ben", "cleo", "dan", "eve"];
const groupIds = ["closed", "open", "late"];

interface Outcome {
  histories: History[];
  dump: Dump;
}

/** Plays steps without a fault. The same steps have the same outcome. */
function play(list: readonly Step[]): Outcome {
  const run = new SoundRun();
  const clients = [
    run.client("raw", "ann"),
    run.client("sdk", "ben"),
    run.client("raw", "cleo"),
    run.client("sdk", "dan"),
    run.client("raw", "eve"),
    run.client("raw", "ann", "second"),
  ];
  const [ann, ben] = clients as [History, History];
  run.perform(ann, { f: "create-group", groupId: "closed", memberIds: ["ben", "cleo"] });
  run.perform(ben, { f: "create-group", groupId: "open", memberIds: ["eve"] });
  for (const history of clients) run.open(history);
  for (const [number, step] of list.entries()) take(step, number, run, clients);
  run.finish();
  return { histories: run.histories, dump: run.dump };
}

/** Does one step. */
function take(step: Step, number: number, run: SoundRun, clients: readonly History[]): void {
  const history = clients[step.client] as History;
  const groupId = groupIds[step.group] as string;
  const peer = userIds[step.peer] as string;
  const way = step.retried ? "retried" : "answered";
  switch (step.type) {
    case "send": {
      const to = step.count === 1 && peer !== history.userId ? { recipientId: peer } : { groupId };
      const operation: Operation = { f: "send", to, clientMessageId: `m${number}`, body: `body ${number}` };
      run.perform(history, operation, way);
      return;
    }
    case "join":
      // The third group is made by the first who wants in.
      if (groupId === "late" && step.retried)
        run.perform(history, { f: "create-group", groupId, memberIds: [peer] });
      run.perform(history, { f: "join", groupId }, way);
      return;
    case "leave":
      run.perform(history, { f: "leave", groupId }, way);
      return;
    case "add":
    case "remove":
      run.perform(history, { f: step.type, groupId, userIds: [peer] }, way);
      return;
    case "open":
      run.open(history);
      return;
    case "cut":
      run.cut(history);
      return;
    case "skip":
      run.skip(history);
      return;
    case "deliver":
      run.deliver(history, step.count);
      return;
  }
}

function judge({ histories, dump }: Outcome) {
  return check({ histories, dump, expectCaughtUp: histories.map(({ client }) => client) });
}

/** Where a client saw an event. */
interface Sighting {
  history: History;
  index: number;
  entry: Extract<Entry, { type: "event" | "shown" }>;
}

function sightings({ histories }: Outcome): Sighting[] {
  return histories.flatMap((history) =>
    history.entries.flatMap((entry, index) =>
      entry.type === "event" || entry.type === "shown" ? [{ history, index, entry }] : [],
    ),
  );
}

function messages({ dump }: Outcome): DumpEvent[] {
  return dump.events.filter(({ kind }) => kind === "message");
}

/** Chooses one of a list, by a number; undefined when it is empty. */
function choose<T>(list: readonly T[], n: number): T | undefined {
  return list[n % Math.max(1, list.length)];
}

/** What can go wrong: each changes an outcome in one place, or tells that there is none for it. */
const mishaps: Record<string, (outcome: Outcome, n: number) => boolean> = {
  "an event is lost on its way"(outcome, n) {
    // The settings of a new group come before its first members: nobody has to see them.
    const due = sightings(outcome).filter(
      ({ entry }) => entry.event.seq > 1 || entry.event.kind === "message",
    );
    const lost = choose(due, n);
    lost?.history.entries.splice(lost.index, 1);
    return lost !== undefined;
  },
  "an event comes twice"(outcome, n) {
    const twice = choose(sightings(outcome), n);
    twice?.history.entries.splice(twice.index + 1, 0, twice.entry);
    return twice !== undefined;
  },
  "two events change places"(outcome, n) {
    const first = choose(
      sightings(outcome).filter(({ history, index, entry }) => {
        const next = history.entries[index + 1];
        // Between conversations the SDK does not promise an order.
        return next?.type === entry.type && next.event.conversationId === entry.event.conversationId;
      }),
      n,
    );
    if (first === undefined) return false;
    const { history, index, entry } = first;
    history.entries.splice(index, 2, history.entries[index + 1] as Entry, entry);
    return true;
  },
  "a reader gets another body"(outcome, n) {
    const message = choose(
      sightings(outcome).filter(({ entry }) => entry.event.kind === "message"),
      n,
    );
    if (message !== undefined) message.entry.event.body += "!";
    return message !== undefined;
  },
  "a stranger gets a direct message"(outcome, n) {
    const message = choose(
      messages(outcome).filter(({ conversationId }) => conversationId.startsWith("d:")),
      n,
    );
    if (message === undefined) return false;
    const target = parseConversationId(message.conversationId);
    const strangers = outcome.histories.filter(
      ({ userId }) => target?.kind === "direct" && !target.userIds.includes(userId),
    );
    const stranger = choose(strangers, n) as History;
    const stream = stranger.entries.findLast((entry) => entry.type === "opened")?.stream ?? 0;
    const event = seenOf(message);
    stranger.add(stranger.kind === "sdk" ? { type: "shown", event } : { type: "event", stream, event });
    return true;
  },
  "a stored event is gone"(outcome, n) {
    const { events } = outcome.dump;
    events.splice(n % events.length, 1);
    return true;
  },
  "a stored message has another body"(outcome, n) {
    const message = choose(messages(outcome), n);
    if (message !== undefined) message.body += "!";
    return message !== undefined;
  },
  "a stored message has another sender"(outcome, n) {
    const message = choose(messages(outcome), n);
    if (message !== undefined) message.senderId = userIds.find((id) => id !== message.senderId) as string;
    return message !== undefined;
  },
  "a message is stored again"({ dump }, n) {
    const message = choose(messages({ dump, histories: [] }), n);
    if (message === undefined) return false;
    const { length } = dump.events.filter((event) => event.conversationId === message.conversationId);
    const { position } = dump.events.at(-1) as DumpEvent;
    dump.events.push({ ...message, seq: length + 1, position: position + 1 });
    return true;
  },
  "an answer names another seq"({ histories }, n) {
    const answers = histories.flatMap(({ entries }) => entries.filter((entry) => entry.type === "ok"));
    const answer = choose(
      answers.filter(({ seq }) => seq !== undefined),
      n,
    );
    if (answer?.seq !== undefined) answer.seq++;
    return answer !== undefined;
  },
  "a message of nobody is stored"({ dump }, n) {
    const { position } = dump.events.at(-1) as DumpEvent;
    dump.events.push({
      conversationId: "d:nobody:zoe",
      seq: 1,
      position: position + 1,
      kind: "message",
      senderId: "nobody",
      messageId: "x",
      clientMessageId: `phantom-${n}`,
      body: "boo",
    });
    return true;
  },
  "a membership begins or ends without anybody being told"({ dump }, n) {
    const change = choose(
      dump.events.filter((event) => event.change?.type === "left"),
      n,
    );
    if (change?.change === undefined) return false;
    change.change = { type: "joined", members: change.change.members };
    return true;
  },
  "the server fails"({ histories }, n) {
    const error = { code: "INTERNAL", reason: "UNSPECIFIED", message: "oops" };
    choose(histories, n)?.add({ type: "error", call: "login", error });
    return true;
  },
};

test("nothing is found in any sound run", () => {
  fc.assert(
    fc.property(steps, (list) => {
      expect(judge(play(list))).toEqual([]);
    }),
    { seed: seed(), numRuns: 150 },
  );
});

test.each(Object.keys(mishaps))("whenever %s, something is found", (name) => {
  const mishap = mishaps[name] as (typeof mishaps)[string];
  let happened = 0;
  fc.assert(
    fc.property(steps, fc.nat(), (list, n) => {
      const outcome = play(list);
      if (!mishap(outcome, n)) return;
      happened++;
      expect(judge(outcome)).not.toEqual([]);
    }),
    { seed: seed(), numRuns: 60 },
  );
  expect(happened).toBeGreaterThan(20);
});
