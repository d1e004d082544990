/** Faults in which clients are gone, and presence has to say so in time. */

import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import type { Violation } from "../checker/violation.ts";
import type { ChatClient } from "../clients/chat-client.ts";
import { SdkClient } from "../clients/sdk-client.ts";
import { SdkProcess } from "../clients/sdk-process.ts";
import type { FaultContext } from "../context.ts";
import { directMessage } from "../direct-message.ts";
import { createHost, missingNetwork } from "../disturb/network.ts";
import { startProxy } from "../disturb/proxy.ts";
import type { Fault } from "../fault.ts";
import { ms, percentile } from "../figures.ts";
import { type PresenceWatch, startPresenceWatch } from "../presence-watch.ts";
import { startRelay } from "../relay.ts";
import type { Storm } from "../storm.ts";

/** How long presence may be wrong, in milliseconds. */
const presenceMs = 15_000;
/** The SDK asks whether a connection lives 30 s after the last sign of life, and waits 10 s for an answer. */
const sdkKeepaliveMs = 40_000;
/** How much more may go by on a busy machine until it is seen that something has happened. */
const slackMs = 10_000;
const smallStorm = { sdk: 10, raw: 10, perSecond: 50 };

/** Clients on another host, and the cable to it. */
export const cablePull: Fault = {
  id: "N3",
  name: "cable-pull",
  title: "the cable to a host with clients is pulled, then plugged in again",
  figureTitle: "until the server shows them offline, until the SDK finds out, until they have everything",
  ci: true,
  missing: () => missingNetwork(),
  async run(context) {
    const violations: Violation[] = [];
    const rounds = context.scale(1, 2);
    const server = await context.serve();
    const host = createHost("cable");
    context.defer(() => host.close());
    const relay = await startRelay(server.address, { host: host.hostAddress });
    context.defer(() => relay.close());
    const storm = await context.storm({ address: server.address, ...smallStorm });
    const pulled = await startProcesses(context, context.scale(3, 6), relay.address, host.wrapper);
    const watch = await watchOnline(context, server.address, pulled);
    const serverMs: number[] = [];
    const clientMs: number[] = [];
    const resumeMs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await delay(1_000);
      const pulledMs = performance.now();
      host.pullCable();
      const found = watchLeaving(context, pulled, pulledMs);
      const bodies = await writeTo(storm, pulled);
      const shown = await untilOffline(watch, pulled, pulledMs);
      violations.push(...shown.violations);
      serverMs.push(...shown.times);
      // In the small run the SDK has no time to find out by itself.
      if (context.mode === "full") {
        await eventually(() => found.size === pulled.length, sdkKeepaliveMs + slackMs).catch(() =>
          violations.push({ rule: "I12", text: "the SDK did not find out that the cable was pulled" }),
        );
        clientMs.push(...found.values());
      }
      const pluggedMs = performance.now();
      host.plugCable();
      const answers = pulled.map((client) => client.perform(directMessage(smallStormUser)));
      violations.push(...(await untilBack(watch, pulled, bodies)));
      resumeMs.push(performance.now() - pluggedMs);
      await Promise.all(answers);
    }
    await watch.close();
    storm.clients.push(...pulled);
    violations.push(...(await context.conclude(server)));
    const sdk = clientMs.length > 0 ? `the SDK finds out after ${range(clientMs)}; ` : "";
    return {
      rounds,
      violations,
      figure: `shown offline after ${range(serverMs)}; ${sdk}everything there ${range(resumeMs)} after plugging in`,
    };
  },
};

/** Connections of which one half is dead. */
export const oneWay: Fault = {
  id: "N4",
  name: "one-way",
  title: "nothing comes through from clients to the server, or nothing from the server to clients",
  figureTitle: "until the server shows them offline and until the SDK finds out, for each direction",
  ci: false,
  async run(context) {
    const violations: Violation[] = [];
    const server = await context.serve();
    const storm = await context.storm({ address: server.address, ...smallStorm });
    // Both at the same time, on connections of their own.
    const figures = await Promise.all(
      (["up", "down"] as const).map(async (direction) => {
        const proxy = await startProxy(server.address);
        context.defer(() => proxy.close());
        const clients: SdkClient[] = [];
        for (let n = 0; n < context.scale(4, 10); n++) {
          const client = new SdkClient({ address: proxy.address, userId: `${direction}-${n}` });
          context.defer(() => client.close());
          await client.start();
          clients.push(client);
        }
        const watch = await watchOnline(context, server.address, clients);
        await delay(1_000);
        const deadMs = performance.now();
        proxy.set(direction, { blackHole: true });
        const found = watchLeaving(context, clients, deadMs);
        const bodies = await writeTo(storm, clients);
        const shown = await untilOffline(watch, clients, deadMs);
        await eventually(() => found.size === clients.length, sdkKeepaliveMs + slackMs).catch(() =>
          violations.push({ rule: "I12", text: `the SDK did not find out that ${direction} is dead` }),
        );
        const healedMs = performance.now();
        proxy.clear();
        violations.push(...shown.violations, ...(await untilBack(watch, clients, bodies)));
        const backMs = performance.now() - healedMs;
        await watch.close();
        storm.clients.push(...clients);
        return `${direction} dead: shown offline after ${range(shown.times)}, the SDK finds out after ${range([...found.values()])}, everything there ${ms(backMs)} after healing`;
      }),
    );
    violations.push(...(await context.conclude(server)));
    return { rounds: figures.length, violations, figure: figures.join("; ") };
  },
};

/** The end of a client's process, which its system tells the server. */
export const killClient: Fault = {
  id: "P11",
  name: "kill-client",
  title: "`kill -9` of clients' processes",
  figureTitle: "until the server shows them offline",
  ci: true,
  async run(context) {
    const server = await context.serve();
    const storm = await context.storm({ address: server.address, ...smallStorm });
    const clients = await startProcesses(context, context.scale(3, 20), server.address);
    const stays = clients.pop() as SdkProcess;
    const watch = await watchOnline(context, server.address, [...clients, stays]);
    const violations: Violation[] = [];
    const times: number[] = [];
    for (const client of clients) {
      await context.pause(0, context.scale(200, 1_000));
      const killedMs = performance.now();
      await client.close();
      const shown = await untilOffline(watch, [client], killedMs, goneMs);
      violations.push(...shown.violations);
      times.push(...shown.times);
    }
    if (watch.shown(stays.userId) !== true)
      violations.push({ rule: "I13", text: "a client that is there is shown offline" });
    await watch.close();
    storm.clients.push(stays);
    violations.push(...(await context.conclude(server)));
    return { rounds: clients.length, violations, figure: `shown offline after ${range(times)}` };
  },
};

/** How long a user may be shown online whose connection has ended: a second of grace, a second until somebody looks, and some on a busy machine. */
const goneMs = 5_000;
const smallStormUser = "sdk-0";

async function startProcesses(
  context: FaultContext,
  count: number,
  address: string,
  wrapper: readonly string[] = [],
): Promise<SdkProcess[]> {
  const clients = Array.from({ length: count }, (_, n) => new SdkProcess(address, `gone-${n}`, wrapper));
  for (const client of clients) context.defer(() => client.close());
  await Promise.all(clients.map((client) => client.start()));
  return clients;
}

async function watchOnline(
  context: FaultContext,
  address: string,
  clients: readonly ChatClient[],
): Promise<PresenceWatch> {
  const watch = await startPresenceWatch(
    context,
    address,
    clients.map(({ userId }) => userId),
  );
  await eventually(() => clients.every(({ userId }) => watch.shown(userId) === true));
  return watch;
}

/** Has somebody who is there write to each, and returns the texts. */
async function writeTo(storm: Storm, clients: readonly ChatClient[]): Promise<Map<ChatClient, string>> {
  const [writer] = storm.clients as [ChatClient];
  const bodies = new Map<ChatClient, string>();
  for (const client of clients) {
    const message = directMessage(client.userId);
    bodies.set(client, message.body);
    await writer.perform(message);
  }
  return bodies;
}

/** Waits until all are shown offline, and tells how long it took for each. */
async function untilOffline(
  watch: PresenceWatch,
  clients: readonly ChatClient[],
  sinceMs: number,
  limitMs = presenceMs,
): Promise<{ times: number[]; violations: Violation[] }> {
  const times: number[] = [];
  const violations: Violation[] = [];
  const leftMs = limitMs + slackMs - (performance.now() - sinceMs);
  await Promise.all(
    clients.map(async ({ userId }) => {
      const shownMs = await watch.until(userId, false, sinceMs, leftMs);
      const tookMs = shownMs === undefined ? undefined : shownMs - sinceMs;
      if (tookMs !== undefined) times.push(tookMs);
      if (tookMs !== undefined && tookMs <= limitMs) return;
      const when = tookMs === undefined ? "not" : `only after ${ms(tookMs)}`;
      violations.push({ rule: "I13", text: `${userId} was gone and ${when} shown offline` });
    }),
  );
  return { times, violations };
}

/** Waits until all are live, shown online and have a text each. */
async function untilBack(
  watch: PresenceWatch,
  clients: readonly ChatClient[],
  bodies: ReadonlyMap<ChatClient, string>,
): Promise<Violation[]> {
  const isBack = (client: ChatClient) =>
    client.live && client.has(bodies.get(client) as string) && watch.shown(client.userId) === true;
  await eventually(() => clients.every(isBack), 60_000).catch(() => {});
  return clients
    .filter((client) => !isBack(client))
    .map(({ userId }) => ({ rule: "I12", text: `${userId} did not come back to what was sent meanwhile` }));
}

/** Notes how long it takes until each client no longer believes in its stream. */
function watchLeaving(
  context: FaultContext,
  clients: readonly ChatClient[],
  sinceMs: number,
): ReadonlyMap<ChatClient, number> {
  const found = new Map<ChatClient, number>();
  const timer = setInterval(() => {
    for (const client of clients)
      if (!client.live && !found.has(client)) found.set(client, performance.now() - sinceMs);
    if (found.size === clients.length) clearInterval(timer);
  }, 20);
  context.defer(() => clearInterval(timer));
  return found;
}

function range(times: readonly number[]): string {
  return `${ms(percentile(times, 0))} to ${ms(percentile(times, 100))}`;
}
