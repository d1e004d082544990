/** Faults in which connections break, and may not say so. */

import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import type { Violation } from "../checker/violation.ts";
import { SdkClient } from "../clients/sdk-client.ts";
import { directMessage } from "../direct-message.ts";
import { startProxy } from "../disturb/proxy.ts";
import type { Fault } from "../fault.ts";
import { ms, percentile } from "../figures.ts";
import type { History } from "../history.ts";

/** Connections that break all the time. */
export const resets: Fault = {
  id: "N5",
  name: "resets",
  title: "all connections are reset again and again",
  figureTitle: "streams opened again, repeats held back by the SDK, repeats shown",
  ci: true,
  async run(context) {
    const everyMs = context.scale(300, 1_000);
    const rounds = context.scale(16, 30);
    const server = await context.serve();
    const proxy = await startProxy(server.address);
    context.defer(() => proxy.close());
    const storm = await context.storm({ address: server.address, addressOf: () => proxy.address });
    for (let round = 0; round < rounds; round++) {
      await delay(everyMs);
      proxy.resetAll();
    }
    const violations = await context.conclude(server);
    const shown = repeatsShown(storm.histories);
    if (storm.reconnects === 0) violations.push({ rule: "run", text: "no stream was opened again" });
    return {
      rounds,
      violations,
      figure: `${storm.reconnects} streams opened again; ${storm.repeatsHeldBack} repeats held back by the SDK, ${shown} shown; ${storm.acknowledged} messages answered`,
    };
  },
};

/** The SDK asks whether a connection lives 30 s after the last sign of life, and waits 10 s for an answer. */
const sdkKeepaliveMs = 40_000;
/** How long a new stream may take, with the SDK's backoff, on a busy machine. */
const reconnectMs = 10_000;

/** A middle box between clients and server that forgets. */
export const idleForgotten: Fault = {
  id: "N9",
  name: "idle-forgotten",
  title: "a middle box forgets connections after 3 s without a byte and tells nobody",
  figureTitle: "time until the SDK finds out, and until messages sent meanwhile are delivered and answered",
  ci: false,
  async run(context) {
    const violations: Violation[] = [];
    const server = await context.serve();
    const proxy = await startProxy(server.address);
    context.defer(() => proxy.close());
    const storm = await context.storm({ address: server.address, sdk: 5, raw: 5, perSecond: 20 });
    const idle = await Promise.all(
      Array.from({ length: 10 }, async (_, n) => {
        const client = new SdkClient({ address: proxy.address, userId: `idle-${n}` });
        context.defer(() => client.close());
        await client.start();
        return client;
      }),
    );
    await delay(500);
    proxy.idleBlackHoleMs = 3_000;
    const fromMs = performance.now();
    await delay(4_000);
    // One of them talks, the others are talked to.
    const [talker, ...listeners] = idle as [SdkClient, ...SdkClient[]];
    const [sender] = storm.clients as [(typeof storm.clients)[number]];
    const bodies = new Map<SdkClient, string>();
    for (const client of listeners) {
      const message = directMessage(client.userId);
      bodies.set(client, message.body);
      await sender.perform(message);
    }
    const askedMs = performance.now();
    const answered = talker.perform(directMessage(sender.userId)).then(() => performance.now() - askedMs);
    const lost = listeners.filter((client) => client.has(bodies.get(client) as string)).length;
    if (lost > 0) violations.push({ rule: "run", text: `${lost} connections were not forgotten` });

    const found = new Map<SdkClient, number>();
    await eventually(() => {
      for (const client of idle)
        if (client.reconnects > 0 && !found.has(client)) found.set(client, performance.now() - fromMs);
      return listeners.every((client) => client.has(bodies.get(client) as string)) && talker.live;
    }, sdkKeepaliveMs + reconnectMs).catch(() =>
      violations.push({
        rule: "I12",
        text: `not all messages arrived within ${ms(sdkKeepaliveMs + reconnectMs)}`,
      }),
    );
    proxy.clear();
    const times = [...found.values()];
    storm.clients.push(...idle);
    const answeredMs = await answered;
    violations.push(...(await context.conclude(server)));
    return {
      rounds: 1,
      violations,
      figure: `SDK with a stream again p50 ${ms(percentile(times, 50))}, max ${ms(percentile(times, 100))} after the last byte; what one of them sent was answered after ${ms(answeredMs)}; ${repeatsShown(idle.map(({ history }) => history))} messages shown twice`,
    };
  },
};

/** How many events an application was shown that it had been shown before. */
function repeatsShown(histories: readonly History[]): number {
  return histories.reduce((sum, { entries }) => {
    const shown = entries.flatMap((entry) => (entry.type === "shown" ? [entry.event] : []));
    const places = new Set(shown.map(({ conversationId, seq }) => `${conversationId}/${seq}`));
    return sum + shown.length - places.size;
  }, 0);
}
