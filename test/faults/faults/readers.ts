/** Faults of readers: slow ones, those that never read, and those that leave without a word. */

import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import type { Violation } from "../checker/violation.ts";
import { RawClient } from "../clients/raw-client.ts";
import type { Fault } from "../fault.ts";
import { megabytes, ms, percentile } from "../figures.ts";
import {
  countMessages,
  openListeners,
  openStalled,
  peakMemory,
  readOn,
  sendMany,
  startSender,
} from "../slow-readers.ts";
import { deliveryTimes } from "../timings.ts";

const megabyte = 1_048_576;
/** What a server may grow by under any load, beside what sessions hold. */
const fixedBytes = 128 * megabyte;
/** What one session may hold: its outbox and what HTTP/2 and the socket buffer. */
const sessionBytes = 512 * 1024;

const zeroWindow: Fault = {
  id: "M1",
  name: "zero-window",
  title: "a reader that never reads while thousands of messages of 16 KB for it pass",
  figureTitle: "growth of the server's memory",
  ci: true,
  async run(context) {
    // More than the bound, by far: a queue without a limit shows.
    const count = context.scale(12_000, 20_000);
    const server = await context.serve();
    const sender = await startSender(context, server.address, "sender");
    // What the same load costs when it is read.
    const reader = await startSender(context, server.address, "reader");
    await sendMany(sender, { recipientId: "reader" }, count / 4, 16_000);
    const before = server.residentBytes();
    const [stalled] = await openStalled(context, server.address, ["stalled"]);
    const peak = await peakMemory(server, () => sendMany(sender, { recipientId: "stalled" }, count, 16_000));
    const growth = peak - before;
    const violations: Violation[] = [];
    if (growth > fixedBytes)
      violations.push({ rule: "I11", text: `the server grew by ${megabytes(growth)} for one reader` });
    if (stalled !== undefined) violations.push(...(await readOn(stalled, count, "stalled", 30_000)));
    await stalled?.close();
    const histories = [sender.history, reader.history];
    violations.push(...(await context.conclude(server, { histories })));
    return {
      rounds: 1,
      violations,
      figure: `${megabytes(growth)} more memory while ${megabytes(count * 16_000)} waited; afterwards all ${count} read, in order`,
    };
  },
};

const stalledCrowd: Fault = {
  id: "M2",
  name: "stalled-crowd",
  title: "100 readers of a group that never read, and 20 that do",
  figureTitle: "p99 of delivery to those that read, alone and with the crowd; memory",
  ci: false,
  async run(context) {
    const server = await context.serve();
    const owner = await startSender(context, server.address, "owner");
    const crowd = Array.from({ length: 100 }, (_, n) => `stalled-${n}`);
    const readers: RawClient[] = [];
    for (let n = 0; n < 20; n++) readers.push(await startSender(context, server.address, `reader-${n}`));
    const readerIds = readers.map(({ userId }) => userId);
    await owner.perform({ f: "create-group", groupId: "few", memberIds: readerIds });
    await owner.perform({ f: "create-group", groupId: "many", memberIds: [...readerIds, ...crowd] });
    const histories = [owner, ...readers].map(({ history }) => history);

    /** The p99 of delivery of messages sent one at a time. */
    async function p99In(groupId: string): Promise<number> {
      // First everyone who reads has to have what was sent before.
      const mark = `§body§ before ${groupId}`;
      await owner.perform({ f: "send", to: { groupId }, clientMessageId: mark, body: mark });
      await eventually(() => readers.every((reader) => reader.has(mark)), 60_000);
      const fromMs = performance.now();
      for (let n = 0; n < 300; n++) {
        await owner.perform({
          f: "send",
          to: { groupId },
          clientMessageId: `${groupId}-${n}`,
          body: `§body§ ${"x".repeat(8_000)}`,
        });
        await delay(5);
      }
      await delay(500);
      return percentile(deliveryTimes(histories, { fromMs, toMs: performance.now() }), 99);
    }

    // The same load without the crowd, so that what the crowd costs is the difference.
    await sendMany(owner, { groupId: "few" }, 2_000, 8_000);
    const alone = await p99In("few");
    const before = server.residentBytes();
    const stalled = await openStalled(context, server.address, crowd);
    let crowded = 0;
    const peak = await peakMemory(server, async () => {
      // Fills what every one of them may hold.
      await sendMany(owner, { groupId: "many" }, 2_000, 8_000);
      crowded = await p99In("many");
    });
    const growth = peak - before;
    const violations: Violation[] = [];
    const bound = fixedBytes + crowd.length * sessionBytes;
    if (growth > bound)
      violations.push({ rule: "I11", text: `grew by ${megabytes(growth)}, more than ${megabytes(bound)}` });
    // 120 sessions get what 20 got, on two noisy cores: far from the seconds of waiting for a reader.
    if (crowded > 250 + alone * 10)
      violations.push({ rule: "I12", text: `p99 ${ms(crowded)} with the crowd, ${ms(alone)} alone` });
    for (const peer of stalled) await peer.close();
    violations.push(...(await context.conclude(server, { histories })));
    return {
      rounds: 1,
      violations,
      figure: `p99 ${ms(alone)} alone, ${ms(crowded)} with the crowd; ${megabytes(growth)} more memory for 100 readers that never read (bound ${megabytes(bound)})`,
    };
  },
};

const leavers: Fault = {
  id: "M3",
  name: "leavers",
  title: "blocked readers and idle listeners go away without a word",
  figureTitle: "sessions left behind",
  ci: true,
  async run(context) {
    const count = context.scale(10, 50);
    const server = await context.serve();
    const sender = await startSender(context, server.address, "sender");
    const blocked = Array.from({ length: count }, (_, n) => `blocked-${n}`);
    const idle = Array.from({ length: count }, (_, n) => `idle-${n}`);
    await sender.perform({ f: "create-group", groupId: "leavers", memberIds: blocked });
    const peers = await openStalled(context, server.address, blocked);
    const listeners = await openListeners(context, server.address, idle);
    // Enough to block those who get it; the others wait for events that never come.
    await sendMany(sender, { groupId: "leavers" }, 200, 8_000);
    for (const peer of peers) await peer.close();
    for (const leave of listeners) leave();
    const violations: Violation[] = [];
    const fromMs = performance.now();
    await eventually(async () => (await server.status()).sessions === 1, 5_000).catch(() => {});
    const tookMs = performance.now() - fromMs;
    const { sessions, calls } = await server.status();
    if (sessions !== 1 || calls !== 1)
      violations.push({ rule: "I12", text: `${sessions - 1} sessions and ${calls - 1} calls are left` });
    violations.push(...(await context.conclude(server, { histories: [sender.history] })));
    return {
      rounds: 2 * count,
      violations,
      figure: `${sessions - 1} of ${2 * count} left behind, all gone after ${ms(tookMs)}`,
    };
  },
};

const catchUpSeam: Fault = {
  id: "M4",
  name: "catch-up-seam",
  title: "devices catch up on thousands of events while others send",
  figureTitle: "events missing or doubled at the seam between log and live; catch-up rate",
  ci: false,
  async run(context) {
    // As much as a stream replays; behind that, clients page through the history.
    const backlog = 9_000;
    const server = await context.serve();
    const owner = await startSender(context, server.address, "owner");
    await owner.perform({ f: "create-group", groupId: "all", memberIds: ["late"] });
    await sendMany(owner, { groupId: "all" }, backlog, 20);
    const storm = await context.storm({ address: server.address, sdk: 10, raw: 10, perSecond: 200 });
    const rounds = 20;
    const late: RawClient[] = [];
    const fromMs = performance.now();
    for (let round = 0; round < rounds; round++) {
      const client = new RawClient({
        address: server.address,
        userId: "late",
        deviceId: `device-${round}`,
        random: context.random,
      });
      context.defer(() => client.close());
      late.push(client);
      await client.start();
    }
    let n = 0;
    const sending = setInterval(() => {
      n++;
      void owner.perform({
        f: "send",
        to: { groupId: "all" },
        clientMessageId: `live-${n}`,
        body: `§body§ live ${n}`,
      });
    }, 5);
    const events = () => late.reduce((sum, { history }) => sum + history.entries.length, 0);
    await eventually(
      () => late.every(({ history }) => history.entries.some(({ type }) => type === "caught-up")),
      120_000,
    );
    const seconds = (performance.now() - fromMs) / 1000;
    const caughtUp = events();
    await delay(3_000);
    clearInterval(sending);
    await storm.stop();
    await delay(1_000);
    const histories = [owner, ...late].map(({ history }) => history);
    for (const client of [owner, ...late]) await client.close();
    const violations = await context.conclude(server, { histories });
    return {
      rounds,
      violations,
      figure: `${violations.length} faults at ${rounds} seams; ${Math.round(caughtUp / seconds)} events/s of catch-up under load`,
    };
  },
};

const bigGroup: Fault = {
  id: "M6",
  name: "big-group",
  title: "a group of 2,000 members, all listening, over 40 connections",
  figureTitle: "CPU of the server per delivered message",
  ci: false,
  async run(context) {
    const members = 2_000;
    const messages = 200;
    const server = await context.serve({ args: ["--max-new-sessions-per-second", "0"] });
    const owner = await startSender(context, server.address, "owner");
    const userIds = Array.from({ length: members }, (_, n) => `member-${n}`);
    await owner.perform({ f: "create-group", groupId: "big", memberIds: userIds.slice(0, 500) });
    for (let n = 500; n < members; n += 500)
      await owner.perform({ f: "add", groupId: "big", userIds: userIds.slice(n, n + 500) });
    const received = await countMessages(context, server.address, userIds);
    const before = server.cpuMs();
    await sendMany(owner, { groupId: "big" }, messages, 100);
    const due = members * messages;
    await eventually(() => received() >= due, 60_000).catch(() => {});
    const cpuMs = server.cpuMs() - before;
    const violations: Violation[] = [];
    if (received() !== due) violations.push({ rule: "I6", text: `${received()} of ${due} deliveries came` });
    violations.push(...(await context.conclude(server, { histories: [owner.history] })));
    return {
      rounds: messages,
      violations,
      figure: `${received()} of ${due} deliveries, ${((cpuMs * 1_000) / due).toFixed(1)} µs of CPU each`,
    };
  },
};

/** Faults of readers. */
export const readersFaults: readonly Fault[] = [zeroWindow, stalledCrowd, leavers, catchUpSeam, bigGroup];
