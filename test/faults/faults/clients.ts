/** Faults of clients: they repeat themselves, contradict themselves, and come twice. */

import { setTimeout as delay } from "node:timers/promises";
import { v7 as uuidv7 } from "uuid";
import type { Cursor } from "../../../gen/parlance/chat/v1/cursor_pb.js";
import { CloseReason } from "../../../gen/parlance/chat/v1/event_pb.js";
import type { SendResult } from "../../../gen/parlance/chat/v1/message_pb.js";
import { type Connection, connect, logIn } from "../../support/connect.ts";
import { type Failure, failureIn, failureOf } from "../../support/errors.ts";
import { eventually } from "../../support/eventually.ts";
import { pick } from "../../support/random.ts";
import { text } from "../../support/server.ts";
import type { TestStream } from "../../support/test-stream.ts";
import type { Violation } from "../checker/violation.ts";
import { RawClient } from "../clients/raw-client.ts";
import { seenEvent } from "../clients/seen-event.ts";
import type { FaultContext } from "../context.ts";
import type { Fault } from "../fault.ts";
import { ms, percentile } from "../figures.ts";
import { History, type Target } from "../history.ts";
import type { FaultServer } from "../server.ts";
import { bodyMarker, type Storm } from "../storm.ts";

/** One connection of one device, with a stream. */
interface Device extends Connection {
  open: TestStream;
  token: string;
  /** What it sent. */
  history: History;
}

/** A message to be sent. */
interface Sending {
  to: Target;
  clientMessageId: string;
  body: string;
}

/** What one send was answered with. */
type Answer = { result: SendResult } | { failure: Failure };

/** The same message many times at once. */
const repeatStorm: Fault = {
  id: "K1",
  name: "repeat-storm",
  title: "the same `client_message_id` 100 times at once, on five connections, by streams and unary calls",
  figureTitle: "stored, distinct seqs and first answers of each id",
  ci: true,
  async run(context) {
    const rounds = context.scale(15, 150);
    const violations: Violation[] = [];
    const server = await context.serve();
    const storm = await context.storm({ address: server.address, perSecond: 100 });
    const devices = await connectDevices(context, server.address, "repeater", 5);
    const most = { stored: 0, seqs: 0, firsts: 0 };
    for (let round = 0; round < rounds; round++) {
      const to: Target = round % 2 === 0 ? { groupId: await ownGroup(devices[0]) } : { recipientId: "sdk-1" };
      const message = { to, clientMessageId: uuidv7(), body: `${bodyMarker} repeated ${round}` };
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, n) =>
          send(devices[n % devices.length] as Device, message, n % 20 < 10),
        ),
      );
      const results = answers.flatMap((answer) => ("result" in answer ? [answer.result] : []));
      const seqs = new Set(results.map(({ conversationId, seq }) => `${conversationId} ${seq}`));
      const firsts = results.filter(({ duplicate }) => !duplicate).length;
      const stored = await countStored(devices[0] as Device, message);
      most.stored = Math.max(most.stored, stored);
      most.seqs = Math.max(most.seqs, seqs.size);
      most.firsts = Math.max(most.firsts, firsts);
      if (results.length !== 100 || seqs.size !== 1 || firsts !== 1 || stored !== 1) {
        const text = `of 100 sends ${results.length} were answered, ${firsts} as the first, with ${seqs.size} seqs; ${stored} stored`;
        violations.push({ rule: "I8", text });
      }
    }
    violations.push(...(await closeDevices(devices, storm, server)));
    violations.push(
      ...(await context.conclude(server, { histories: devices.map(({ history }) => history) })),
    );
    return {
      rounds,
      violations,
      figure: `of 100 repeats at once at most ${most.stored} stored, ${most.seqs} distinct seq, ${most.firsts} first answer; ${rounds * 100} sends`,
    };
  },
};

/** One id for two messages. */
const reusedId: Fault = {
  id: "K2",
  name: "reused-id",
  title: "the same `client_message_id` with another body, or to another conversation, also at once",
  figureTitle: "refused with CLIENT_MESSAGE_ID_REUSED, stored of each id",
  ci: true,
  async run(context) {
    const rounds = context.scale(15, 100);
    const violations: Violation[] = [];
    const server = await context.serve();
    const storm = await context.storm({ address: server.address, perSecond: 100 });
    let devices = await connectDevices(context, server.address, "reuser", 3);
    const groupId = await ownGroup(devices[0]);
    const targets: Target[] = [{ groupId }, { recipientId: "sdk-1" }, { recipientId: "raw-1" }];
    let refused = 0;
    const one = (to: Target, clientMessageId: string, body: string) =>
      send(pick(context.random, devices), { to, clientMessageId, body }, context.random() < 0.5);
    /** Checks that one message of an id stands and all others were refused. */
    async function expectOne(
      what: string,
      clientMessageId: string,
      answers: readonly Answer[],
    ): Promise<void> {
      const accepted = answers.filter((answer) => "result" in answer);
      const failures = answers.flatMap((answer) => ("failure" in answer ? [answer.failure] : []));
      const others = failures.filter(
        ({ code, reasonName }) => code !== "ALREADY_EXISTS" || reasonName !== "CLIENT_MESSAGE_ID_REUSED",
      );
      refused += failures.length - others.length;
      for (const { code, reasonName } of others)
        violations.push({ rule: "I14", text: `${what}: refused with ${code} ${reasonName}` });
      let stored = 0;
      for (const to of targets) stored += await countStored(devices[0] as Device, { to, clientMessageId });
      if (accepted.length !== 1 || stored !== 1)
        violations.push({ rule: "I8", text: `${what}: ${accepted.length} accepted, ${stored} stored` });
    }
    const kept: Sending[] = [];
    for (let round = 0; round < rounds; round++) {
      const to = pick(context.random, targets);
      const clientMessageId = uuidv7();
      const body = `${bodyMarker} first ${round}`;
      kept.push({ to, clientMessageId, body });
      const first = await one(to, clientMessageId, body);
      const elsewhere = targets.filter((target) => target !== to);
      await expectOne("after the first", clientMessageId, [
        first,
        await one(to, clientMessageId, `${body}, changed`),
        await one(pick(context.random, elsewhere), clientMessageId, body),
      ]);
      const contested = uuidv7();
      const rivals = Array.from({ length: 12 }, (_, n) =>
        one(targets[n % 3] as Target, contested, `${bodyMarker} rival ${n}`),
      );
      await expectOne("at once", contested, await Promise.all(rivals));
    }
    // The rule holds for as long as the messages exist.
    await server.kill();
    await server.start();
    const before = devices;
    for (const device of before) device.close();
    devices = await connectDevices(context, server.address, "reuser", 3);
    for (const { to, clientMessageId, body } of kept) {
      const again = await one(to, clientMessageId, body);
      if (!("result" in again) || !again.result.duplicate)
        violations.push({ rule: "I8", text: "a repeat after a restart was not known" });
      await expectOne("after a restart", clientMessageId, [
        again,
        await one(to, clientMessageId, `${body}!`),
      ]);
    }
    violations.push(...(await closeDevices(devices, storm, server)));
    const histories = [...before, ...devices].map(({ history }) => history);
    violations.push(...(await context.conclude(server, { histories })));
    return { rounds, violations, figure: `${refused} refused, 1 stored of each of ${rounds * 2} ids` };
  },
};

/** A device that opens one stream after the other without closing any. */
const switchStreams: Fault = {
  id: "K3",
  name: "switch-streams",
  title: "a device opens another stream again and again while it is written to",
  figureTitle: "events lost between two streams, ends other than REPLACED",
  ci: false,
  async run(context) {
    const rounds = context.scale(25, 300);
    const violations: Violation[] = [];
    const server = await context.serve();
    const storm = await context.storm({ address: server.address });
    const [token = ""] = await logIn(server.address, ["switcher"]);
    const lines = [1, 2, 3].map(() => connect(server.address, token));
    const writer = new RawClient({ address: server.address, userId: "writer", random: context.random });
    for (const closing of [...lines, writer]) context.defer(() => closing.close());
    await writer.start();

    const history = new History("raw", "switcher", "default");
    const streams: TestStream[] = [];
    const read: number[] = [];
    /** The last cursor on any of the streams. */
    let cursor: Cursor | undefined;
    /** Notes what came on all streams. */
    function note(): void {
      for (const [n, { events }] of streams.entries()) {
        for (; (read[n] ?? 0) < events.length; read[n] = (read[n] ?? 0) + 1) {
          const event = events[read[n] ?? 0] as (typeof events)[number];
          if (event.event.case === "opened") {
            const { epoch = "", position = 0n } = event.event.value.cursor ?? {};
            const { resumed } = event.event.value;
            history.add({ type: "opened", stream: n, epoch, position: Number(position), resumed });
          }
          const log = seenEvent(event);
          if (log === undefined) continue;
          history.add({ type: "event", stream: n, event: log });
          if (event.cursor && event.cursor.position > (cursor?.position ?? 0n)) cursor = event.cursor;
        }
      }
    }
    let stopped = false;
    let sent = 0;
    let last = "";
    const writing = (async () => {
      while (!stopped) {
        const clientMessageId = uuidv7();
        last = `${bodyMarker} to the switcher ${++sent}`;
        await writer.perform({ f: "send", to: { recipientId: "switcher" }, clientMessageId, body: last });
        await delay(5);
      }
    })();
    const switchMs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      note();
      const stream = pick(context.random, lines).stream();
      streams.push(stream);
      const startMs = performance.now();
      await stream.open({ replayLimit: 10_000, ...(cursor && { resumeFrom: cursor }) });
      switchMs.push(performance.now() - startMs);
      await context.pause(0, 60);
    }
    stopped = true;
    await writing;
    const newest = streams.at(-1) as TestStream;
    const hasLast = () => newest.texts().includes(last);
    await eventually(hasLast, 20_000).catch(() =>
      violations.push({ rule: "I12", text: "the newest stream did not get the last message" }),
    );
    let wrong = 0;
    for (const stream of streams.slice(0, -1)) {
      const failure = String(await Promise.race([stream.ended, delay(5_000, "no end")]));
      const reason = stream.all("closed").at(-1)?.reason;
      if (reason === CloseReason.REPLACED && failure.includes("ABORTED")) continue;
      wrong++;
      violations.push({ rule: "I14", text: `an older stream ended with ${reason ?? "nothing"}, ${failure}` });
    }
    newest.cancel();
    await newest.ended;
    note();
    const got = new Set(
      history.entries.flatMap((entry) =>
        entry.type === "event" && entry.event.senderId === "writer" ? [entry.event.seq] : [],
      ),
    );
    const lost = sent - got.size;
    if (lost > 0) violations.push({ rule: "I6", text: `${lost} of ${sent} events came on no stream` });
    for (const [n] of streams.entries()) history.add({ type: "end", stream: n, closed: "REPLACED" });
    violations.push(...(await context.conclude(server, { histories: [history, writer.history] })));
    return {
      rounds,
      violations,
      figure: `${lost} of ${sent} events lost, ${wrong} of ${rounds - 1} ends other than REPLACED; open again after p50 ${ms(percentile(switchMs, 50))}, max ${ms(Math.max(...switchMs))}; ${storm.acknowledged} messages beside`,
    };
  },
};

/** Cursors that the server never gave out. */
const badCursors: Fault = {
  id: "K4",
  name: "bad-cursors",
  title: "cursors in the future, of another epoch, negative or garbled, to acknowledge and to resume from",
  figureTitle: "refused as documented, cursors of devices that moved",
  ci: true,
  async run(context) {
    const violations: Violation[] = [];
    const server = await context.serve();
    const storm = await context.storm({ address: server.address, perSecond: 100 });
    const [line] = (await connectDevices(context, server.address, "astray", 1)) as [Device];
    for (let n = 0; n < 5; n++)
      await send(
        line,
        { to: { recipientId: "sdk-1" }, clientMessageId: uuidv7(), body: `${bodyMarker} ${n}` },
        false,
      );
    const messages = () => line.open.events.filter(({ cursor }) => cursor !== undefined);
    await eventually(() => messages().length >= 5);
    const good = messages()[2]?.cursor as Cursor;
    await line.chat.ack({ cursor: good });
    const { epoch } = good;

    const far = good.position + 1_000_000_000n;
    const bad: [string, string, { epoch: string; position: bigint }][] = [
      ["INVALID_ARGUMENT", "CURSOR_IN_FUTURE", { epoch, position: far }],
      ["INVALID_ARGUMENT", "CURSOR_IN_FUTURE", { epoch, position: 2n ** 63n - 1n }],
      ["INVALID_ARGUMENT", "INVALID_REQUEST", { epoch, position: -1n }],
      ["INVALID_ARGUMENT", "INVALID_REQUEST", { epoch, position: -(2n ** 63n) }],
      ["INVALID_ARGUMENT", "INVALID_REQUEST", { epoch: "", position: 1n }],
      ["INVALID_ARGUMENT", "INVALID_REQUEST", { epoch: "x".repeat(33), position: 1n }],
      ["FAILED_PRECONDITION", "CURSOR_OF_ANOTHER_EPOCH", { epoch: "another", position: 1n }],
      ["FAILED_PRECONDITION", "CURSOR_OF_ANOTHER_EPOCH", { epoch: `${epoch}x`.slice(-32), position: 1n }],
      ["FAILED_PRECONDITION", "CURSOR_OF_ANOTHER_EPOCH", { epoch: "\u0000'; DROP TABLE", position: far }],
      ["FAILED_PRECONDITION", "CURSOR_OF_ANOTHER_EPOCH", { epoch: `${epoch.toUpperCase()}é`, position: 1n }],
    ];
    let refusals = 0;
    const expectRefusal = (how: string, want: string, got: Failure | undefined) => {
      refusals++;
      const is = got === undefined ? "accepted" : `${got.code} ${got.reasonName}`;
      if (is !== want) violations.push({ rule: "I14", text: `${how}: ${is} in place of ${want}` });
    };
    for (let round = 0; round < context.scale(1, 10); round++) {
      for (const [code, reason, cursor] of bad) {
        const want = `${code} ${reason}`;
        const what = `${cursor.epoch.slice(0, 12)}/${cursor.position}`;
        expectRefusal(
          `Ack ${what}`,
          want,
          await failureOf((o) => line.chat.ack({ cursor }, o)).catch(notRefused),
        );
        expectRefusal(`ack ${what}`, want, await refusalOf(line.open, { case: "ack", value: { cursor } }));
        expectRefusal(
          `Listen ${what}`,
          want,
          await failureOf((o) =>
            line.chat.listen({ open: { resumeFrom: cursor } }, { ...o, signal: AbortSignal.timeout(5_000) }),
          ).catch(notRefused),
        );
        // A refused `open` leaves the stream to be opened.
        const stream = connectAgain(context, server, line).stream();
        expectRefusal(
          `open ${what}`,
          want,
          await refusalOf(stream, { case: "open", value: { resumeFrom: cursor } }),
        );
        stream.cancel();
        await stream.ended;
      }
    }
    // The device is where it was, also on disk.
    line.open.cancel();
    await line.open.ended;
    let moved = 0;
    for (const when of ["at once", "after a restart"]) {
      if (when === "after a restart") {
        await server.terminate();
        await server.start();
      }
      const stream = connectAgain(context, server, line).stream();
      const { cursor, resumed } = await stream.open();
      if (!resumed || cursor?.position !== good.position || cursor.epoch !== epoch) {
        moved++;
        violations.push({
          rule: "I7",
          text: `${when} the device is at ${cursor?.position}, not ${good.position}`,
        });
      }
      stream.cancel();
      await stream.ended;
    }
    violations.push(...(await closeDevices([line], storm, server)));
    violations.push(...(await context.conclude(server, { histories: [line.history] })));
    return {
      rounds: context.scale(1, 10),
      violations,
      figure: `${refusals} refused as documented, ${moved} cursors of devices moved`,
    };
  },
};

/** Two devices of a user who have got to different places. */
const twoDevices: Fault = {
  id: "K5",
  name: "two-devices",
  title: "one device of a user acknowledges everything, another nothing; then the server is killed",
  figureTitle: "events repeated to the first, missed by the second",
  ci: false,
  async run(context) {
    const count = context.scale(100, 800);
    const violations: Violation[] = [];
    const server = await context.serve();
    const storm = await context.storm({ address: server.address, perSecond: 100 });
    const [sender] = (await connectDevices(context, server.address, "writer", 1)) as [Device];
    const [eager, idle] = (await connectDevices(context, server.address, "owner-of-two", 2)) as [
      Device,
      Device,
    ];
    const bodies = Array.from({ length: count }, (_, n) => `${bodyMarker} of ${n}`);
    await Promise.all(
      bodies.map((body) =>
        send(sender, { to: { recipientId: "owner-of-two" }, clientMessageId: uuidv7(), body }, true),
      ),
    );
    await eventually(() => [eager, idle].every(({ open }) => open.texts().length === count), 20_000);
    const cursor = eager.open.events.findLast((event) => event.cursor !== undefined)?.cursor as Cursor;
    await eager.chat.ack({ cursor });
    // On disk within a second; a graceful stop would write it anyway.
    await delay(2_000);
    await server.kill();
    await server.start();
    const counts: number[] = [];
    for (const device of [eager, idle]) {
      const stream = connectAgain(context, server, device).stream();
      await eventually(async () => (await server.status()).sessions > 0, 20_000);
      await stream.open({ replayLimit: 10_000 });
      await stream.next("caughtUp");
      counts.push(new Set(stream.texts()).size);
      stream.cancel();
      await stream.ended;
    }
    const [repeated = 0, got = 0] = counts;
    if (repeated > 0)
      violations.push({ rule: "I7", text: `the device that acknowledged all got ${repeated} events again` });
    if (got < count) violations.push({ rule: "I1", text: `the other device got ${got} of ${count} events` });
    violations.push(...(await closeDevices([sender, eager, idle], storm, server)));
    violations.push(...(await context.conclude(server, { histories: [sender.history] })));
    return {
      rounds: 1,
      violations,
      figure: `${repeated} events repeated to the first device; ${count - got} of ${count} missed by the second`,
    };
  },
};

/** Connects devices of one user, each on a connection of its own and with a stream. */
async function connectDevices(
  context: FaultContext,
  address: string,
  userId: string,
  count: number,
): Promise<Device[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const [token = ""] = await logIn(address, [userId], `device-${n}`);
      const connection = connect(address, token);
      context.defer(() => connection.close());
      const open = connection.stream();
      await open.open();
      return { ...connection, open, token, history: new History("raw", userId, `device-${n}`) };
    }),
  );
}

/** Makes another connection of a device. */
function connectAgain(context: FaultContext, { address }: FaultServer, device: Device): Connection {
  const connection = connect(address, device.token);
  context.defer(() => connection.close());
  return connection;
}

/** Closes devices and waits until the server knows. */
async function closeDevices(
  devices: readonly Device[],
  storm: Storm,
  server: FaultServer,
): Promise<Violation[]> {
  for (const { open, close } of devices) {
    open.cancel();
    close();
  }
  return eventually(async () => (await server.status()).sessions === storm.openStreams).then(
    () => [],
    () => [{ rule: "I12", text: "the server kept sessions of devices that were closed" }],
  );
}

/** Returns a group that a device's user owns. */
async function ownGroup(device: Device | undefined): Promise<string> {
  const groupId = uuidv7();
  await device?.groups.createGroup({ groupId });
  return groupId;
}

/** Sends once, over a device's stream or as a unary call. */
async function send(device: Device, message: Sending, overStream: boolean): Promise<Answer> {
  const { history } = device;
  const op = history.entries.length;
  history.add({ type: "invoke", op, operation: { f: "send", ...message } });
  const answer = await (overStream ? sendOverStream(device, message) : sendUnary(device, message));
  if ("failure" in answer) {
    const { code, reasonName: reason, message: why } = answer.failure;
    history.add({ type: "fail", op, error: { code, reason, message: why } });
    return answer;
  }
  const { conversationId, seq, position, messageId, duplicate } = answer.result;
  const result = { conversationId, seq: Number(seq), position: Number(position), messageId, duplicate };
  history.add({ type: "ok", op, ...result });
  return answer;
}

async function sendOverStream({ open }: Device, { to, clientMessageId, body }: Sending): Promise<Answer> {
  const message = { content: text(body), clientMessageId };
  const requestId = uuidv7();
  open.send(
    "groupId" in to
      ? { case: "sendGroup", value: { ...to, ...message } }
      : { case: "sendDirect", value: { ...to, ...message } },
    requestId,
  );
  const answer = await answerTo(open, requestId);
  if (answer?.case === "sent") return { result: answer.value };
  if (answer?.case === "refusal") return { failure: failureIn(answer.value) };
  throw new Error(`a send was answered with ${answer?.case}`);
}

async function sendUnary({ chat }: Device, { to, clientMessageId, body }: Sending): Promise<Answer> {
  const message = { content: text(body), clientMessageId };
  let result: SendResult | undefined;
  const failure = await failureOf(async (options) => {
    ({ result } =
      "groupId" in to
        ? await chat.sendGroup({ ...to, ...message }, options)
        : await chat.sendDirect({ ...to, ...message }, options));
  }).catch((error) => {
    if (result === undefined) throw error;
  });
  return result === undefined ? { failure: failure as Failure } : { result };
}

/** Waits for the answer to a request of a stream. */
async function answerTo(stream: TestStream, requestId: string) {
  const found = () => stream.events.find((event) => event.requestId === requestId)?.event;
  await stream.until(() => found() !== undefined, `an answer to ${requestId}`);
  return found();
}

/** Makes a request of a stream that is to be refused, and returns with what it was. */
async function refusalOf(
  stream: TestStream,
  request: Parameters<TestStream["send"]>[0],
): Promise<Failure | undefined> {
  const requestId = uuidv7();
  stream.send(request, requestId);
  const answer = await answerTo(stream, requestId);
  return answer?.case === "refusal" ? failureIn(answer.value) : undefined;
}

/** For a call that has to fail and did not. */
function notRefused(): undefined {
  return undefined;
}

/** How many messages of an id a conversation has. */
async function countStored(
  { messages }: Device,
  { to, clientMessageId }: Pick<Sending, "to" | "clientMessageId">,
): Promise<number> {
  const target =
    "groupId" in to
      ? { case: "groupId" as const, value: to.groupId }
      : { case: "recipientId" as const, value: to.recipientId };
  let count = 0;
  let pageToken = "";
  do {
    const page = await messages.listMessages({ target, pageSize: 1_000, pageToken });
    count += page.messages.filter((message) => message.clientMessageId === clientMessageId).length;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return count;
}

/** Faults of clients. */
export const clientsFaults: readonly Fault[] = [repeatStorm, reusedId, switchStreams, badCursors, twoDevices];
