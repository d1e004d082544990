import fc from "fast-check";
import { ClientError, Status } from "nice-grpc";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EventKind, type ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import { JoinPolicy, MembershipChange } from "../../gen/parlance/chat/v1/group_pb.js";
import { listAll } from "../support/connect.ts";
import { failureOf } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";
import { seed } from "../support/seed.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";

let server: TestServer;
beforeAll(async () => {
  // Without quotas, so that a change of membership is carried out before what was asked for after it.
  server = await startTestServer({ maxGroupsPerUser: 0, maxGroupsOwnedPerUser: 0 });
});
afterAll(() => server.close());

const userCount = 5;
const user = fc.nat(userCount - 1);
const other = fc.integer({ min: 1, max: userCount - 1 });

/** A change of the group; some are refused in the state they meet, which is part of the test. */
type Change =
  | { do: "join" | "leave"; who: number }
  | { do: "add" | "remove"; by: number; whom: number[] }
  | { do: "history"; shown: boolean };

/** What happens at a time: at most one change of the group, sends of any number of users, and users who come and go. */
interface Step {
  change: Change | undefined;
  senders: number[];
  toggles: number[];
}

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ do: fc.constant("join" as const), who: other }),
  fc.record({ do: fc.constant("leave" as const), who: other }),
  fc.record({
    do: fc.constant("add" as const),
    by: user,
    whom: fc.uniqueArray(user, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    do: fc.constant("remove" as const),
    by: fc.constant(0),
    whom: fc.uniqueArray(other, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ do: fc.constant("history" as const), shown: fc.boolean() }),
);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    change: fc.option(change, { nil: undefined, freq: 5 }),
    senders: fc.array(user, { maxLength: 6 }),
    toggles: fc.uniqueArray(user, { maxLength: 2 }),
  }),
  { minLength: 5, maxLength: 20 },
);
const start = fc.record({
  memberIds: fc.uniqueArray(other, { maxLength: 3 }),
  historyForNewMembers: fc.boolean(),
});

/** The group as the answers tell it. */
interface Model {
  lastSeq: number;
  historyForNewMembers: boolean;
  /** By user: from which to which seq they were members; the last one may be open. */
  stays: { from: number; to: number; visibleFrom: number }[][];
  /** What was sent, by seq. */
  sent: Map<number, string>;
}

function isMember({ stays }: Model, n: number): boolean {
  return stays[n]?.at(-1)?.to === Number.POSITIVE_INFINITY;
}

function enter(model: Model, n: number, seq: number): void {
  model.stays[n]?.push({
    from: seq,
    to: Number.POSITIVE_INFINITY,
    visibleFrom: model.historyForNewMembers ? 1 : seq,
  });
}

function leave(model: Model, n: number, seq: number): void {
  const stay = model.stays[n]?.at(-1);
  if (stay !== undefined) stay.to = seq;
}

test("whoever comes, goes, sends and reconnects, each user gets exactly the events of their stays in a group", async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(start, steps, async (start, steps) => {
      const name = `stay-${run++}`;
      const users = await Promise.all(
        Array.from({ length: userCount }, (_, n) => server.login(`${name}-${n}`)),
      );
      const fence = await server.login(`${name}-fence`);
      const readers = users.map((user) => new Reader(user));
      await Promise.all(readers.map((reader) => reader.come()));
      try {
        const model = await live({ users, readers, groupId: `${name}-group`, start, steps });
        await Promise.all(readers.map((reader) => reader.come()));
        for (const { userId } of users)
          await fence.chat.sendDirect({ recipientId: userId, content: text("fence") });
        for (const [n, reader] of readers.entries()) {
          await reader.fence();
          const expected: number[] = [];
          for (const { from, to } of model.stays[n] ?? []) {
            for (let seq = from; seq <= Math.min(to, model.lastSeq); seq++) expected.push(seq);
          }
          expect(reader.seqs(), `user ${n}`).toEqual(expected);
          for (const [seq, body] of reader.messages()) expect(model.sent.get(seq)).toBe(body);
          await checkHistory(model, n, users[n] as UserClients, `${name}-group`);
        }
      } finally {
        for (const reader of readers) reader.go();
      }
    }),
    { seed: seed(), numRuns: 25 },
  );
});

interface Life {
  users: UserClients[];
  readers: Reader[];
  groupId: string;
  start: { memberIds: number[]; historyForNewMembers: boolean };
  steps: Step[];
}

/** What came of a call: its answer, or that the rules refused it. Other errors are the test's. */
async function settled<T>(call: Promise<T>): Promise<{ done: true; value: T } | { done: false }> {
  try {
    return { done: true, value: await call };
  } catch (error) {
    const refused = [
      Status.PERMISSION_DENIED,
      Status.NOT_FOUND,
      Status.ALREADY_EXISTS,
      Status.FAILED_PRECONDITION,
    ];
    if (error instanceof ClientError && refused.includes(error.code)) return { done: false };
    throw error;
  }
}

/** Lives the steps and returns what the answers say of the group. */
async function live({ users, readers, groupId, start, steps }: Life): Promise<Model> {
  const idOf = (n: number) => users[n]?.userId as string;
  const { memberIds, historyForNewMembers } = start;
  await users[0]?.groups.createGroup({
    groupId,
    historyForNewMembers,
    joinPolicy: JoinPolicy.OPEN,
    memberIds: memberIds.map(idOf),
  });
  const model: Model = { lastSeq: 2, historyForNewMembers, stays: users.map(() => []), sent: new Map() };
  // Whom a group begins with is a member since its first event.
  for (const n of [0, ...memberIds]) enter(model, n, 1);

  for (const [i, step] of steps.entries()) {
    for (const n of step.toggles) readers[n]?.toggle();
    const before = model.stays.map((_, n) => isMember(model, n));
    const [outcome, ...answers] = await Promise.all([
      step.change === undefined ? undefined : settled(carryOut(step.change, users, groupId)),
      ...step.senders.map(async (n, j) => {
        const body = `${i}/${j}`;
        const request = { groupId, content: text(body) };
        return { n, body, answer: await settled((users[n] as UserClients).chat.sendGroup(request)) };
      }),
    ]);
    const seqs = new Set<number>();
    for (const { body, answer } of answers) {
      if (!answer.done) continue;
      const seq = Number(answer.value.result?.seq);
      seqs.add(seq);
      model.sent.set(seq, body);
    }
    // The change has the one seq that no send got.
    const changes = outcome?.done === true && alters(step.change as Change, model);
    let seq = model.lastSeq + 1;
    while (seqs.has(seq)) seq++;
    model.lastSeq += seqs.size + (changes ? 1 : 0);
    expect(
      [...seqs].every((sent) => sent <= model.lastSeq),
      "seqs have no gaps",
    ).toBe(true);
    if (changes) apply(step.change as Change, model, seq);
    for (const { n, answer } of answers) {
      // Those who came or went meanwhile may have been early or late.
      if (before[n] === isMember(model, n)) expect(answer.done).toBe(isMember(model, n));
    }
    if (outcome !== undefined)
      expect(outcome.done, JSON.stringify(step.change)).toBe(allowed(step.change as Change, before));
  }
  return model;
}

function carryOut(change: Change, users: UserClients[], groupId: string): Promise<unknown> {
  const idOf = (n: number) => users[n]?.userId as string;
  const groupsOf = (n: number) => (users[n] as UserClients).groups;
  switch (change.do) {
    case "join":
      return groupsOf(change.who).joinGroup({ groupId });
    case "leave":
      return groupsOf(change.who).leaveGroup({ groupId });
    case "add":
      return groupsOf(change.by).addMembers({ groupId, userIds: change.whom.map(idOf) });
    case "remove":
      return groupsOf(change.by).removeMembers({ groupId, userIds: change.whom.map(idOf) });
    case "history":
      return groupsOf(0).updateGroup({
        group: { groupId, historyForNewMembers: change.shown },
        updateMask: { paths: ["history_for_new_members"] },
      });
  }
}

/** Whether the group allows a change, given who is a member. */
function allowed(change: Change, members: boolean[]): boolean {
  switch (change.do) {
    case "join":
      return !members[change.who];
    case "leave":
      return members[change.who] === true;
    case "add":
      return members[change.by] === true;
    case "remove":
      return change.whom.every((n) => members[n]);
    case "history":
      return true;
  }
}

/** Whether a change that was allowed puts an event into the log. */
function alters(change: Change, model: Model): boolean {
  if (change.do === "add") return change.whom.some((n) => !isMember(model, n));
  if (change.do === "history") return change.shown !== model.historyForNewMembers;
  return true;
}

function apply(change: Change, model: Model, seq: number): void {
  switch (change.do) {
    case "join":
      enter(model, change.who, seq);
      return;
    case "leave":
      leave(model, change.who, seq);
      return;
    case "add":
      for (const n of change.whom) if (!isMember(model, n)) enter(model, n, seq);
      return;
    case "remove":
      for (const n of change.whom) leave(model, n, seq);
      return;
    case "history":
      model.historyForNewMembers = change.shown;
  }
}

/** Checks that a user may read of the history what they saw since they joined, or all of it, or nothing. */
async function checkHistory(model: Model, n: number, user: UserClients, groupId: string): Promise<void> {
  const target = { case: "groupId" as const, value: groupId };
  if (!isMember(model, n)) {
    expect(await failureOf((options) => user.messages.listMessages({ target }, options))).toMatchObject({
      code: "PERMISSION_DENIED",
      reasonName: "NOT_A_MEMBER",
    });
    return;
  }
  const visibleFrom = model.stays[n]?.at(-1)?.visibleFrom as number;
  expect((await user.groups.getGroup({ groupId })).me?.visibleFromSeq).toBe(BigInt(visibleFrom));
  const listed = await listAll(user, target);
  const visible = [...model.sent.keys()].filter((seq) => seq >= visibleFrom).sort((a, b) => a - b);
  expect(listed.map(({ seq }) => Number(seq))).toEqual(visible);
}

/** An event of a group's log. */
type GroupEvent = Extract<ServerEvent["event"], { case: "message" | "membershipChanged" | "groupChanged" }>;

/** A user's device that comes and goes, and goes on after the last event it received. */
class Reader {
  readonly #user: UserClients;
  readonly #streams: TestStream[] = [];
  /** Whether it is here, or about to be. */
  #present = false;
  #current: TestStream | undefined;
  #coming = Promise.resolve();

  constructor(user: UserClients) {
    this.#user = user;
  }

  /** Opens a stream, unless there is one, after the last event received. */
  come(): Promise<void> {
    if (!this.#present) {
      this.#present = true;
      this.#coming = this.#coming.then(() => this.#open());
    }
    return this.#coming;
  }

  /** Ends the stream, if there is one. */
  go(): void {
    this.#current?.cancel();
    this.#current = undefined;
    this.#present = false;
  }

  async #open(): Promise<void> {
    // What a stream received counts once it is over.
    await this.#streams.at(-1)?.ended;
    if (!this.#present || this.#current !== undefined) return;
    const stream = this.#user.stream();
    this.#current = stream;
    const resumeFrom = this.#lastCursor();
    this.#streams.push(stream);
    await stream.open(resumeFrom === undefined ? {} : { resumeFrom }).catch((error) => {
      if (this.#current === stream) throw error;
    });
  }

  /** Comes, or goes; does not wait. */
  toggle(): void {
    if (this.#present) this.go();
    else void this.come();
  }

  /** Waits for the direct message that is sent last. */
  async fence(): Promise<void> {
    await this.#streams.at(-1)?.next("message", ({ target }) => target.case === "recipientId");
  }

  /** The seqs of the group's events received on all streams, in order. */
  seqs(): number[] {
    return this.#groupEvents().map(({ value }) => Number(value.seq));
  }

  /** The group's messages received, by seq. */
  messages(): [number, string][] {
    return this.#groupEvents().flatMap((event) =>
      event.case === "message" && event.value.content?.kind.case === "text"
        ? [[Number(event.value.seq), event.value.content.kind.value.body] as [number, string]]
        : [],
    );
  }

  #groupEvents(): GroupEvent[] {
    return this.#streams
      .flatMap((stream) => stream.events)
      .map(({ event }) => event)
      .filter(
        (event): event is GroupEvent =>
          event.case === "membershipChanged" ||
          event.case === "groupChanged" ||
          (event.case === "message" && event.value.target.case === "groupId"),
      );
  }

  #lastCursor() {
    for (const stream of this.#streams.toReversed()) {
      const last = stream.events.findLast(({ cursor }) => cursor !== undefined)?.cursor;
      const cursor = last ?? stream.all("opened")[0]?.cursor;
      if (cursor !== undefined) return cursor;
    }
    return undefined;
  }
}

test("the event that removes a member is the last one they get, and others go on", async () => {
  const [alice, bob, carol] = (await Promise.all(
    ["last-alice", "last-bob", "last-carol"].map((id) => server.login(id)),
  )) as [UserClients, UserClients, UserClients];
  const streams = [bob.stream(), carol.stream()] as [TestStream, TestStream];
  await Promise.all(streams.map((stream) => stream.open()));
  const groupId = "last-group";
  await alice.groups.createGroup({ groupId, memberIds: ["last-bob", "last-carol"] });
  await alice.groups.removeMembers({ groupId, userIds: ["last-bob"] });
  await alice.chat.sendGroup({ groupId, content: text("without Bob") });
  await streams[1].next("message");
  await alice.chat.sendDirect({ recipientId: "last-bob", content: text("fence") });
  await streams[0].next("message");
  expect(streams[0].texts()).toEqual(["fence"]);
  const removed = await streams[0].next(
    "membershipChanged",
    ({ change }) => change === MembershipChange.REMOVED,
  );
  expect(removed.members.map(({ userId }) => userId)).toEqual(["last-bob"]);
  for (const stream of streams) stream.cancel();
});

test("a disbanded group's last event goes to all its members and nothing follows", async () => {
  const [alice, bob] = await Promise.all([server.login("end-alice"), server.login("end-bob")]);
  const stream = bob.stream();
  await stream.open({ eventKinds: [EventKind.GROUP, EventKind.MESSAGE] });
  const groupId = "end-group";
  await alice.groups.createGroup({ groupId, memberIds: ["end-bob"] });
  await alice.groups.disbandGroup({ groupId });
  const last = await stream.next("groupChanged", ({ disbandTime }) => disbandTime !== undefined);
  expect(last).toMatchObject({ groupId, memberCount: 0 });
  expect(
    (await failureOf((options) => bob.chat.sendGroup({ groupId, content: text("?") }, options))).reasonName,
  ).toBe("GROUP_NOT_FOUND");
  stream.cancel();
});

test("a member who was removed and added again, with none of the others connected, misses nothing", async () => {
  const [alice, bob] = await Promise.all([server.login("back-alice"), server.login("back-bob")]);
  const groupId = "back-group";
  const stream = bob.stream();
  await stream.open();
  await alice.groups.createGroup({ groupId, memberIds: ["back-bob"] });
  for (let round = 1; round <= 5; round++) {
    await alice.groups.removeMembers({ groupId, userIds: ["back-bob"] });
    for (let i = 0; i < 3; i++) await alice.chat.sendGroup({ groupId, content: text("not for Bob") });
    // At once, so that what follows the change meets a server that is busy with it.
    await Promise.all([
      alice.groups.addMembers({ groupId, userIds: ["back-bob"] }),
      alice.chat.sendDirect({ recipientId: "back-bob", content: text("beside it") }),
      alice.chat.sendGroup({ groupId, content: text(`round ${round}`) }),
      alice.chat.sendDirect({ recipientId: "back-bob", content: text("beside it") }),
    ]);
    await alice.chat.sendDirect({ recipientId: "back-bob", content: text(`fence ${round}`) });
    await stream.until(() => stream.texts().includes(`fence ${round}`));
    expect(stream.texts()).toContain(`round ${round}`);
    expect(stream.all("membershipChanged")).toHaveLength(1 + 2 * round);
  }
  expect(stream.texts()).not.toContain("not for Bob");
  stream.cancel();
});

test("two users who are connected in turn miss nothing of what they say to each other", async () => {
  const [alice, bob, carol] = (await Promise.all(
    ["turn-alice", "turn-bob", "turn-carol"].map((id) => server.login(id)),
  )) as [UserClients, UserClients, UserClients];
  const toBob = (body: string) => alice.chat.sendDirect({ recipientId: "turn-bob", content: text(body) });
  const gone = async (stream: TestStream, count: number) => {
    stream.cancel();
    await eventually(() => server.server.stats().sessions === count);
  };
  const { sessions } = server.server.stats();
  const first = alice.stream();
  await first.open();
  await toBob("1");
  await first.until(() => first.texts().length === 1);
  const second = bob.stream();
  await second.open();
  await gone(first, sessions + 1);
  await gone(second, sessions);
  await toBob("2");

  const third = alice.stream();
  await third.open();
  await third.next("caughtUp");
  await Promise.all([
    toBob("3"),
    ...Array.from({ length: 20 }, (_, i) =>
      carol.chat.sendDirect({ recipientId: "turn-alice", content: text(`c${i}`) }),
    ),
  ]);
  await carol.chat.sendDirect({ recipientId: "turn-alice", content: text("fence") });
  await third.until(() => third.texts().includes("fence"));
  expect(third.texts().filter((body) => body === "3")).toHaveLength(1);
  third.cancel();
});
