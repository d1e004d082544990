/** Faults of access: who may hear something, and until when. */

import { setTimeout as delay } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { v7 as uuidv7 } from "uuid";
import { CloseReason } from "../../../gen/parlance/chat/v1/event_pb.js";
import { MembershipChange } from "../../../gen/parlance/chat/v1/group_pb.js";
import { connect, logIn } from "../../support/connect.ts";
import { failureOf } from "../../support/errors.ts";
import { eventually } from "../../support/eventually.ts";
import type { TestStream } from "../../support/test-stream.ts";
import type { Violation } from "../checker/violation.ts";
import { RawClient } from "../clients/raw-client.ts";
import type { FaultContext } from "../context.ts";
import type { Fault, Outcome } from "../fault.ts";
import { ms, percentile } from "../figures.ts";
import type { FaultService } from "../server.ts";
import { bodyMarker } from "../storm.ts";

/** How long a stream may outlive the right to it, in milliseconds. */
const endMs = 2_000;
/** What the sweeper, which looks once a second, and a busy machine take of that. */
const slackMs = 500;

/** Membership that ends in the middle of a conversation. */
const removeMember: Fault = {
  id: "A1",
  name: "remove-member",
  title: "a member is removed and added again while 100 messages a second flow",
  figureTitle: "events after a removal, events of the time between",
  ci: true,
  async run(context) {
    const server = await context.serve();
    const { address } = server;
    await context.storm({ address, perSecond: 100 });
    const at = { owner: address, writer: address, victim: address };
    return revolve(context, server, { rounds: context.scale(12, 150), at });
  },
};

/**
 * Removes a member again and again, and adds it again, while somebody writes.
 *
 * @param at the server that each of them is connected to
 */
export async function revolve(
  context: FaultContext,
  service: FaultService,
  { rounds, at }: { rounds: number; at: Record<"owner" | "writer" | "victim", string> },
): Promise<Outcome> {
  const violations: Violation[] = [];
  const { random } = context;
  const owner = new RawClient({ address: at.owner, userId: "keeper", random });
  const writer = new RawClient({ address: at.writer, userId: "writer", random });
  const victim = new RawClient({ address: at.victim, userId: "victim", random });
  const clients = [owner, writer, victim];
  for (const client of clients) {
    context.defer(() => client.close());
    await client.start();
  }
  const groupId = "revolving-door";
  const userIds = [victim.userId];
  await owner.perform({ f: "create-group", groupId, memberIds: [writer.userId, victim.userId] });
  // A device without a cursor of its own, whose every event is looked at.
  const [token = ""] = await logIn(at.victim, userIds, "watching");
  const connection = connect(at.victim, token);
  context.defer(() => connection.close());
  const stream = connection.stream();
  await stream.open();

  const effectMs: number[] = [];
  const flow = startFlow(writer, groupId, 100);
  for (let round = 0; round < rounds; round++) {
    await context.pause(50, 250);
    await owner.perform({ f: "remove", groupId, userIds });
    const answeredMs = performance.now();
    const seenRemovals = () =>
      seenOf(stream, groupId, victim.userId).filter(({ change }) => change === "out").length;
    await eventually(() => seenRemovals() > round, 10_000).catch(() => {});
    effectMs.push(performance.now() - answeredMs);
    await context.pause(20, 150);
    await owner.perform({ f: "add", groupId, userIds });
  }
  const sent = await flow.stop();
  const last = `${bodyMarker} the last one`;
  const clientMessageId = uuidv7();
  await owner.perform({ f: "send", to: { groupId }, clientMessageId, body: last });
  await eventually(() => clients.every((client) => client.has(last)), 20_000).catch(() =>
    violations.push({ rule: "I12", text: "not everybody got the last message" }),
  );
  await eventually(() => stream.texts().includes(last), 20_000).catch(() => {});

  // What the device saw, against what the owner, who was always there, saw.
  const seen = seenOf(stream, groupId, victim.userId);
  let after = 0;
  let hidden = 0;
  let member = true;
  const visible = new Set(seen.map(({ seq }) => seq));
  for (const { seq, change } of seen) {
    if (change === "in") member = true;
    else if (!member) after++;
    if (change === "out") member = false;
    if (!member && change !== "out")
      violations.push({ rule: "I9", text: `the removed member got the event with seq ${seq}` });
  }
  const removals = seen.filter(({ change }) => change === "out").length;
  if (removals !== rounds)
    violations.push({ rule: "I6", text: `the member saw ${removals} of ${rounds} removals` });
  for (const entry of owner.history.entries) {
    if (entry.type !== "event" || entry.event.conversationId !== `g:${groupId}`) continue;
    if (!visible.has(entry.event.seq)) hidden++;
  }
  connection.close();
  for (const client of clients) await client.close();
  const histories = clients.map(({ history }) => history);
  violations.push(...(await context.conclude(service, { histories })));
  return {
    rounds,
    violations,
    figure: `${after} events after a removal, which the member heard of ${ms(percentile(effectMs, 50))} after the answer, at most ${ms(percentile(effectMs, 100))}; ${hidden} of the time between stayed hidden, of ${sent} messages`,
  };
}

/** Tokens that end while streams are open. */
const endTokens: Fault = {
  id: "A2",
  name: "end-tokens",
  title: "session tokens expire, and users log out, while their streams are open and written to",
  figureTitle: "time until the stream ended, events after that",
  ci: true,
  async run(context) {
    const count = context.scale(12, 60);
    const ttlSeconds = 3;
    const violations: Violation[] = [];
    const server = await context.serve({ args: ["--session-ttl-seconds", String(ttlSeconds)] });
    const { address } = server;
    // Everybody's token expires again and again.
    const storm = await context.storm({ address, perSecond: 100 });
    const writer = new RawClient({ address, userId: "writer", random: context.random });
    context.defer(() => writer.close());
    await writer.start();
    const times: Record<string, number[]> = { expired: [], "logged out": [], "logged out everywhere": [] };
    let late = 0;

    for (let round = 0; round < context.scale(1, 5); round++) {
      for (const how of Object.keys(times)) {
        const userIds = Array.from({ length: count }, (_, n) => `${how.replaceAll(" ", "-")}-${round}-${n}`);
        const ended = await Promise.all(
          userIds.map((userId) => endOne(context, { address, writer, userId, how })),
        );
        for (const { tookMs, lateEvents, wrong } of ended) {
          times[how]?.push(...tookMs);
          late += lateEvents;
          violations.push(...wrong);
        }
      }
    }
    await writer.close();
    violations.push(...(await context.conclude(server, { histories: [writer.history] })));
    const figures = Object.entries(times).map(
      ([how, all]) =>
        `${how}: p50 ${ms(percentile(all, 50))}, max ${ms(percentile(all, 100))} of ${all.length}`,
    );
    return {
      rounds: Object.values(times).flat().length,
      violations,
      figure: `${figures.join("; ")}; ${late} events after that; ${storm.reconnects} streams of the storm opened again`,
    };
  },
};

/** Opens streams of a user on two devices, ends the right to them, and tells what came of it. */
async function endOne(
  context: FaultContext,
  { address, writer, userId, how }: { address: string; writer: RawClient; userId: string; how: string },
): Promise<{ tookMs: number[]; lateEvents: number; wrong: Violation[] }> {
  const wrong: Violation[] = [];
  const probe = connect(address);
  const devices = await Promise.all(
    ["first", "second"].map(async (deviceId) => {
      const credential = { case: "devUserId" as const, value: userId };
      const { sessionToken, expireTime } = await probe.chat.login({ credential, device: { deviceId } });
      const connection = connect(address, sessionToken);
      context.defer(() => connection.close());
      const stream = connection.stream();
      await stream.open({ replayLimit: 10_000 });
      return { connection, stream, expireMs: expireTime === undefined ? 0 : timestampMs(expireTime) };
    }),
  );
  probe.close();
  let stopped = false;
  const writing = (async () => {
    while (!stopped) {
      const clientMessageId = uuidv7();
      const body = `${bodyMarker} ${clientMessageId}`;
      await writer.perform({ f: "send", to: { recipientId: userId }, clientMessageId, body });
      await delay(100);
    }
  })();

  const [first, second] = devices as [(typeof devices)[0], (typeof devices)[0]];
  const ending = how === "logged out" ? [first] : devices;
  let dueMs = Math.min(first.expireMs, second.expireMs);
  if (how !== "expired") {
    await context.pause(100, 400);
    dueMs = Date.now();
    await first.connection.chat.logout({ allDevices: how === "logged out everywhere" });
  }
  const tookMs: number[] = [];
  let lateEvents = 0;
  await Promise.all(
    ending.map(async ({ connection, stream, expireMs }) => {
      const dueAtMs = how === "expired" ? expireMs : dueMs;
      const patienceMs = dueAtMs + endMs + slackMs - Date.now();
      const outcome = await Promise.race([stream.ended, delay(patienceMs, "open")]);
      tookMs.push(Math.max(0, Date.now() - dueAtMs));
      const reason = stream.all("closed").at(-1)?.reason;
      const want = how === "expired" ? CloseReason.TOKEN_EXPIRED : CloseReason.LOGGED_OUT;
      if (outcome === "open")
        wrong.push({ rule: "I9", text: `a stream whose token was ${how} is open ${endMs} ms later` });
      else if (reason !== want || !String(outcome).includes("UNAUTHENTICATED"))
        wrong.push({ rule: "I14", text: `a stream whose token was ${how} ended with ${reason}, ${outcome}` });
      const before = stream.events.length;
      await delay(300);
      lateEvents += stream.events.length - before;
      // The token is of no use any more.
      const failure = await failureOf((options) => connection.conversations.listConversations({}, options));
      if (failure.code !== "UNAUTHENTICATED")
        wrong.push({ rule: "I9", text: `a token that was ${how} still has ${failure.code}` });
    }),
  ).catch((error: unknown) => {
    wrong.push({ rule: "I9", text: `a token that was ${how} still works: ${error}` });
  });
  if (how === "logged out" && second.stream.all("closed").length > 0 && Date.now() < second.expireMs)
    wrong.push({ rule: "I12", text: "the logout of one device ended another's stream" });
  stopped = true;
  await writing;
  if (lateEvents > 0) wrong.push({ rule: "I9", text: `${lateEvents} events after the end of a token` });
  for (const { connection, stream } of devices) {
    stream.cancel();
    connection.close();
  }
  return { tookMs, lateEvents, wrong };
}

/** What a stream saw of a group, and which of it made its user a member or no longer one. */
function seenOf(
  stream: TestStream,
  groupId: string,
  userId: string,
): { seq: number; change?: "in" | "out" }[] {
  return stream.events.flatMap(({ event }) => {
    if (event.case === "message")
      return event.value.conversationId === `g:${groupId}` ? [{ seq: Number(event.value.seq) }] : [];
    if (event.case !== "membershipChanged" || event.value.groupId !== groupId) return [];
    const { seq, change, members } = event.value;
    if (!members.some((member) => member.userId === userId)) return [{ seq: Number(seq) }];
    const ends = change === MembershipChange.LEFT || change === MembershipChange.REMOVED;
    return [{ seq: Number(seq), change: ends ? ("out" as const) : ("in" as const) }];
  });
}

/** Has a client write to a group without pause. */
function startFlow(writer: RawClient, groupId: string, perSecond: number) {
  const startMs = performance.now();
  const underWay = new Set<Promise<unknown>>();
  let sent = 0;
  let stopped = false;
  const flowing = (async () => {
    while (!stopped) {
      while (sent < ((performance.now() - startMs) / 1_000) * perSecond) {
        const clientMessageId = uuidv7();
        const body = `${bodyMarker} flow ${++sent}`;
        const sending = writer.perform({ f: "send", to: { groupId }, clientMessageId, body });
        underWay.add(sending);
        void sending.finally(() => underWay.delete(sending));
      }
      await delay(10);
    }
  })();
  return {
    /** Stops it, and returns how many messages were sent. */
    async stop(): Promise<number> {
      stopped = true;
      await flowing;
      await Promise.all(underWay);
      return sent;
    },
  };
}

/** Faults of access. */
export const accessFaults: readonly Fault[] = [removeMember, endTokens];
