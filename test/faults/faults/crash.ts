/** Faults in which the server's process dies at once. */

import { setTimeout as delay } from "node:timers/promises";
import { v7 as uuidv7 } from "uuid";
import { eventually } from "../../support/eventually.ts";
import type { Violation } from "../checker/violation.ts";
import { RawClient } from "../clients/raw-client.ts";
import type { FaultContext } from "../context.ts";
import type { Fault } from "../fault.ts";
import { ms, percentile } from "../figures.ts";
import type { History } from "../history.ts";
import type { FaultServer } from "../server.ts";
import { bodyMarker } from "../storm.ts";
import { deliveryTimes } from "../timings.ts";

/** The longest that a process may take to come to its fail point, in milliseconds. */
const exitPatienceMs = 30_000;

/** `kill -9` at random moments. */
export const killStorm: Fault = {
  id: "P1",
  name: "kill-storm",
  title: "`kill -9` at random moments of a send storm",
  figureTitle: "acknowledged messages lost, time until the server listens again",
  ci: true,
  async run(context) {
    const rounds = context.scale(6, 50);
    const server = await context.serve();
    const storm = await context.storm({
      address: server.address,
      // Few, so that the harness itself keeps up with the many messages of the whole run.
      sdk: context.scale(30, 16),
      raw: context.scale(20, 12),
      perSecond: context.scale(300, 3_000),
    });
    const startMs: number[] = [];
    const wanted = context.scale(0, 100_000);
    for (let round = 0; round < rounds; round++) {
      const due = Math.ceil((wanted * (round + 1)) / rounds);
      await eventually(() => storm.acknowledged >= due, 15_000).catch(() => {});
      await context.pause(100, 900);
      await server.kill();
      startMs.push(await server.start());
    }
    await delay(200);
    const violations = await context.conclude(server);
    if (storm.acknowledged < wanted)
      violations.push({ rule: "run", text: `${storm.acknowledged} acknowledged messages prove too little` });
    const lost = violations.filter(({ rule }) => rule === "I1").length;
    return {
      rounds,
      violations,
      figure: `${lost} of ${storm.acknowledged} acknowledged messages lost; listening again after p50 ${ms(percentile(startMs, 50))}, max ${ms(Math.max(...startMs))}; ${storm.reconnects} reconnects, ${storm.repeatsHeldBack} repeats held back by the SDK, 0 shown`,
    };
  },
};

/** A commit whose outcome its sender does not learn. */
export const dieAroundCommit: Fault = {
  id: "P2",
  name: "die-around-commit",
  title: "the process dies right before a commit, or after it and before the answer",
  figureTitle: "duplicates stored, retries that found their first try",
  ci: true,
  async run(context) {
    const rounds = context.scale(6, 40);
    const places = ["append.after-commit", "append.before-commit"];
    const failPoints = (round: number) =>
      `${places[round % places.length]}=exit@${30 + Math.floor(context.random() * context.scale(60, 300))}`;
    const server = await context.serve();
    const storm = await context.storm({ address: server.address });
    const violations: Violation[] = [];
    await server.kill();
    for (let round = 0; round < rounds; round++) {
      await server.start({ failPoints: failPoints(round) });
      violations.push(...(await untilDead(server)));
    }
    await server.start({ failPoints: "" });
    await delay(200);
    violations.push(...(await context.conclude(server)));

    const found = countRepeats(storm.histories);
    if (found === 0)
      violations.push({ rule: "run", text: "no retry found its first try: nothing died between both" });
    const duplicates = violations.filter(({ rule }) => rule === "I8").length;
    return {
      rounds,
      violations,
      figure: `${duplicates} duplicates among ${storm.acknowledged} answered; ${found} retries found their first try; deaths after a commit ${Math.ceil(rounds / 2)}, before one ${Math.floor(rounds / 2)}`,
    };
  },
};

/** Events that were answered and of which no reader heard. */
export const dieBeforeFanOut: Fault = {
  id: "P3",
  name: "die-before-fan-out",
  title: "the process dies after the answer and before readers hear of it, or leaves publishing out",
  figureTitle: "delay until delivered without another send",
  ci: true,
  async run(context) {
    const violations: Violation[] = [];
    const server = await context.serve();
    const probe = await startProbe(context, server.address);

    // Alone, so that nothing but the log can tell the readers.
    const rounds = context.scale(2, 20);
    const deaths = context.scale(1, 15);
    const afterRestartMs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await server.kill();
      await server.start({ failPoints: "wake.before-readers=exit" });
      await probe.open();
      const { body, answered } = probe.send();
      violations.push(...(await untilDead(server)));
      await server.start({ failPoints: "" });
      const restartMs = performance.now();
      const atMs = await probe.arrival(body);
      if (atMs === undefined)
        violations.push({
          rule: "I12",
          text: `round ${round}: the reader did not get what was stored before`,
        });
      else afterRestartMs.push(Math.max(0, atMs - restartMs));
      if (!(await answered)) violations.push({ rule: "run", text: "the probe was refused" });
    }

    // Everything comes by way of the log's tail.
    await server.kill();
    await server.start({ failPoints: "publish=drop" });
    const storm = await context.storm({ address: server.address, perSecond: context.scale(150, 300) });
    const fromMs = performance.now();
    const viaTailMs: number[] = [];
    for (let sent = 0; sent < context.scale(2, 20); sent++) {
      const sentMs = performance.now();
      const { body, answered } = probe.send();
      const atMs = await probe.arrival(body);
      if (atMs === undefined)
        violations.push({ rule: "I12", text: "an event was not found in the log's tail" });
      else viaTailMs.push(atMs - sentMs);
      if (!(await answered)) violations.push({ rule: "run", text: "the probe was refused" });
    }
    const toMs = performance.now();
    // What was sent last is on its way.
    await delay(1_500);

    // Both at once, under load.
    for (let round = 0; round < deaths; round++) {
      await server.kill();
      // The tail is read once a second, so hits are few.
      const hit = 2 + Math.floor(context.random() * 4);
      await server.start({ failPoints: `wake.before-readers=exit@${hit};publish=drop` });
      violations.push(...(await untilDead(server)));
      await server.start({ failPoints: "" });
    }
    violations.push(...(await context.conclude(server, { histories: probe.histories })));
    const stormMs = deliveryTimes(storm.histories, { fromMs, toMs });
    return {
      rounds: rounds + deaths,
      violations,
      figure: `after a restart p50 ${ms(percentile(afterRestartMs, 50))}, max ${ms(Math.max(...afterRestartMs))}; by the log's tail alone p50 ${ms(percentile([...stormMs, ...viaTailMs], 50))}, max ${ms(percentile([...stormMs, ...viaTailMs], 100))} of ${stormMs.length + viaTailMs.length} deliveries`,
    };
  },
};

/** Waits until the process has ended at its fail point; ends it when it does not come there. */
async function untilDead(server: FaultServer): Promise<Violation[]> {
  server.expectExit();
  await Promise.race([server.exited, delay(exitPatienceMs, undefined, { ref: false })]);
  if (!server.running) return [];
  await server.kill();
  return [{ rule: "run", text: "the process did not come to its fail point" }];
}

/** How many sends were answered as repeats of a try before. */
function countRepeats(histories: readonly History[]): number {
  return histories.reduce(
    (sum, { entries }) => sum + entries.filter((entry) => entry.type === "ok" && entry.duplicate).length,
    0,
  );
}

/** Two users who write nothing but what is measured. */
async function startProbe(context: FaultContext, address: string) {
  const { random } = context;
  const sender = new RawClient({ address, userId: "probe-sender", random });
  const reader = new RawClient({ address, userId: "probe-reader", random });
  const clients = [sender, reader];
  for (const client of clients) {
    context.defer(() => client.close());
    await client.start();
  }
  return {
    histories: clients.map(({ history }) => history),
    /** Waits until both have a stream. */
    open: () => eventually(() => clients.every(({ live }) => live), 20_000),
    send() {
      const clientMessageId = uuidv7();
      const body = `${bodyMarker} probe ${clientMessageId}`;
      const to = { recipientId: reader.userId };
      return { body, answered: sender.perform({ f: "send", to, clientMessageId, body }) };
    },
    /** When the reader got a message; undefined when it does not come. */
    async arrival(body: string): Promise<number | undefined> {
      // The sender as well, who would otherwise catch up with it in the next round.
      await eventually(() => clients.every((client) => client.has(body)), 20_000).catch(() => {});
      const got = reader.history.entries.find((entry) => entry.type === "event" && entry.event.body === body);
      return got?.atMs;
    },
  };
}
