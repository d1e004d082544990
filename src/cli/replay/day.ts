import { setTimeout as delay } from "node:timers/promises";
import {
  type ClientEvent,
  connect,
  ErrorReason,
  JoinPolicy,
  type ParlanceClient,
  ParlanceError,
  Platform,
  Status,
  type Transport,
} from "../../../clients/typescript/index.ts";
import { idOf } from "./ids.ts";
import type { IrcDay, IrcStep } from "./irc.ts";
import type { Latencies } from "./latencies.ts";
import { Ledger, type Tally } from "./ledger.ts";

/** The settings of a replayed day. */
export interface DayOptions {
  /** The day's name, for its group and users. */
  name: string;
  runId: string;
  transport: Transport;
  /** How many times faster than recorded; undefined for as fast as the service answers. */
  speed: number | undefined;
  /** How long to wait for deliveries while none comes, in milliseconds. */
  silenceMs: number;
  tally: Tally;
  latencies: Latencies;
  /** Called after each step. */
  onStep: () => void;
}

/** The outcome of a replayed day. */
export interface DayCounts {
  users: number;
  groupMessages: number;
  directMessages: number;
  /** Expected deliveries that did not come. */
  missing: number;
  /** Streams that had to be opened again. */
  reconnects: number;
  /** Events that came again and were held back from the application. */
  repeats: number;
}

/** Clients that connect at the same time. */
const connectsAtOnce = 32;
/** A replay outlasts a restart of the server. */
const deadlineMs = 120_000;
/** Joins and leaves that were already carried out by a call whose answer got lost. */
const doneReasons: readonly ErrorReason[] = [ErrorReason.ALREADY_A_MEMBER, ErrorReason.NOT_A_MEMBER];

/**
 * Lives a day: everyone connects, then each step awaits the answer to the one
 * before. Whoever left keeps a stream, on which nothing must come any more.
 *
 * The group belongs to a service user beside the nicks, as nobody may leave
 * what they own. It has no stream and counts nowhere.
 */
export async function liveDay(day: IrcDay, options: DayOptions): Promise<DayCounts> {
  const { name, runId, tally, latencies, transport, silenceMs } = options;
  const groupId = idOf(name, runId);
  const userIds = day.nicks.map((nick) => idOf(name, runId, nick));
  const indexes = new Map(day.nicks.map((nick, index) => [nick, index]));
  const ledger = new Ledger(userIds.length, `${runId}/${name}`, tally, latencies);
  await createGroup(groupId, idOf(name, runId, "", "owner"), options);
  const clients = await connectAll(userIds, transport, (user, event) => {
    if (event.case === "message") ledger.receive(user, event.value);
  });

  try {
    const player = new Player(groupId, clients, userIds, indexes, ledger);
    await playAll(day.steps, player, options);
    await arrivals(ledger, silenceMs);
    const missing = ledger.outstanding;
    return {
      users: day.nicks.length,
      groupMessages: player.groupMessages,
      directMessages: player.directMessages,
      missing,
      reconnects: sum(clients, (client) => client.stats.reconnects),
      repeats: sum(clients, (client) => client.stats.repeats),
    };
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

async function createGroup(groupId: string, ownerId: string, { name, transport }: DayOptions): Promise<void> {
  const credentials = { devUserId: ownerId };
  const owner = await connect({
    transport,
    credentials,
    stream: false,
    deadlineMs,
    connectTimeoutMs: deadlineMs,
  });
  try {
    await owner.groups.createGroup({ groupId, name, joinPolicy: JoinPolicy.OPEN });
  } finally {
    await owner.close();
  }
}

async function connectAll(
  userIds: readonly string[],
  transport: Transport,
  onEvent: (user: number, event: ClientEvent) => void,
): Promise<ParlanceClient[]> {
  const clients: ParlanceClient[] = [];
  for (let start = 0; start < userIds.length; start += connectsAtOnce) {
    const some = userIds.slice(start, start + connectsAtOnce).map((devUserId, offset) =>
      connect({
        transport,
        credentials: { devUserId },
        device: { deviceId: "replay", platform: Platform.SERVICE },
        deadlineMs,
        connectTimeoutMs: deadlineMs,
        backoff: { capMs: 1_000 },
        onEvent: (event) => onEvent(start + offset, event),
      }),
    );
    const results = await Promise.allSettled(some);
    for (const result of results) if (result.status === "fulfilled") clients.push(result.value);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) {
      await Promise.all(clients.map((client) => client.close()));
      throw failed.reason;
    }
  }
  return clients;
}

async function playAll(
  steps: readonly IrcStep[],
  player: Player,
  { speed, onStep }: DayOptions,
): Promise<void> {
  const startMs = performance.now();
  const firstMinute = steps[0]?.minute ?? 0;
  for (const step of steps) {
    if (speed !== undefined) {
      const dueMs = ((step.minute - firstMinute) * 60_000) / speed;
      const earlyMs = startMs + dueMs - performance.now();
      if (earlyMs > 0) await delay(earlyMs);
    }
    await player.play(step);
    onStep();
  }
}

/** Carries out steps and keeps who is a member. */
class Player {
  groupMessages = 0;
  directMessages = 0;
  readonly #groupId: string;
  readonly #clients: readonly ParlanceClient[];
  readonly #userIds: readonly string[];
  readonly #indexes: ReadonlyMap<string, number>;
  readonly #ledger: Ledger;
  readonly #members = new Set<number>();

  constructor(
    groupId: string,
    clients: readonly ParlanceClient[],
    userIds: readonly string[],
    indexes: ReadonlyMap<string, number>,
    ledger: Ledger,
  ) {
    this.#groupId = groupId;
    this.#clients = clients;
    this.#userIds = userIds;
    this.#indexes = indexes;
    this.#ledger = ledger;
  }

  async play(step: IrcStep): Promise<void> {
    switch (step.kind) {
      case "join":
        return this.#join(step.nick);
      case "leave":
        return this.#leave(step.nick);
      case "rename":
        await this.#join(step.to);
        return this.#leave(step.nick);
      case "say":
        await this.#join(step.nick);
        return this.#say(step.nick, step.text, step.to);
    }
  }

  async #say(nick: string, text: string, to: string | undefined): Promise<void> {
    const sender = this.#indexOf(nick);
    const client = this.#client(sender);
    const senderId = this.#userIds[sender] as string;

    const groupMessage = this.#ledger.expect(text, sender, senderId, this.#members);
    const sent = await client.sendGroup(this.#groupId, text, { clientMessageId: groupMessage });
    this.#ledger.answered(groupMessage, Number(sent.seq));
    this.groupMessages++;
    if (to === undefined) return;

    const recipient = this.#indexOf(to);
    const directMessage = this.#ledger.expect(text, sender, senderId, [recipient]);
    const told = await client.sendDirect(this.#userIds[recipient] as string, text, {
      clientMessageId: directMessage,
    });
    this.#ledger.answered(directMessage, Number(told.seq));
    this.directMessages++;
  }

  /** Makes a user a member who is not one: whoever speaks was there before the log began. */
  async #join(nick: string): Promise<void> {
    const user = this.#indexOf(nick);
    if (this.#members.has(user)) return;
    await untilAnswered(() => this.#client(user).groups.joinGroup({ groupId: this.#groupId }));
    this.#members.add(user);
  }

  async #leave(nick: string): Promise<void> {
    const user = this.#indexes.get(nick);
    if (user === undefined || !this.#members.has(user)) return;
    await untilAnswered(() => this.#client(user).groups.leaveGroup({ groupId: this.#groupId }));
    this.#members.delete(user);
  }

  #indexOf(nick: string): number {
    const index = this.#indexes.get(nick);
    if (index === undefined) throw new Error(`${nick} is no nick of the day`);
    return index;
  }

  #client(user: number): ParlanceClient {
    return this.#clients[user] as ParlanceClient;
  }
}

/** Repeats a call whose outcome is unknown; that it is already done is then as good as an answer. */
async function untilAnswered(call: () => Promise<unknown>): Promise<void> {
  const untilMs = Date.now() + deadlineMs;
  for (let unknown = false; ; unknown = true) {
    try {
      await call();
      return;
    } catch (error) {
      if (!(error instanceof ParlanceError)) throw error;
      if (unknown && doneReasons.includes(error.reason)) return;
      const transient = error.code === Status.UNAVAILABLE || error.code === Status.DEADLINE_EXCEEDED;
      if (!transient || Date.now() > untilMs) throw error;
      await delay(100);
    }
  }
}

/** Waits until everything has arrived, or nothing has for a while. */
async function arrivals(ledger: Ledger, silenceMs: number): Promise<void> {
  let received = ledger.tally.received;
  let lastMs = performance.now();
  while (ledger.outstanding > 0 && performance.now() - lastMs < silenceMs) {
    await delay(10);
    if (ledger.tally.received !== received) {
      received = ledger.tally.received;
      lastMs = performance.now();
    }
  }
  // What should not come would come now.
  await delay(100);
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
