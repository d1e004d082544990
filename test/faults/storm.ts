import { setTimeout as delay } from "node:timers/promises";
import { v7 as uuidv7 } from "uuid";
import { eventually } from "../support/eventually.ts";
import { pick } from "../support/random.ts";
import type { Violation } from "./checker/violation.ts";
import type { ChatClient } from "./clients/chat-client.ts";
import { RawClient } from "./clients/raw-client.ts";
import { SdkClient } from "./clients/sdk-client.ts";
import type { History } from "./history.ts";

/** Who takes part in a storm, and what they do. */
export interface StormOptions {
  /** A server, or several nodes of one service, over which users spread. */
  address: string | readonly string[];
  random: () => number;
  /** Users on the SDK. */
  sdk: number;
  /** Users on generated code alone; every fourth of them has a second device. */
  raw: number;
  groups: number;
  /** Messages sent per second, of all users together. */
  perSecond: number;
  /** Whether users join, leave, are added and removed meanwhile. By default they are. */
  membership?: boolean;
  /** The beginning of the ids of users and groups, for a second storm on the same server. */
  prefix?: string;
  /** How long everything may take to arrive once the storm is over, in milliseconds. Default 60,000. */
  settleMs?: number;
  /** The address that a user connects to, where it differs. */
  addressOf?: (user: number) => string | readonly string[];
}

/** A part of every message body, by which one is found where it has no business. */
export const bodyMarker = "§body§";

/**
 * Users who write to each other and to groups, come and go, and keep what they
 * see: the load under which faults are injected.
 */
export class Storm {
  readonly clients: ChatClient[] = [];
  /** Messages that were answered. */
  acknowledged = 0;
  readonly #options: StormOptions;
  readonly #prefix: string;
  readonly #owner: RawClient;
  readonly #groupIds: string[];
  readonly #underWay = new Set<Promise<void>>();
  #storming: Promise<void> | undefined;
  #stopped = false;
  #sent = 0;

  constructor(options: StormOptions) {
    const { address, random, sdk, raw, groups, prefix = "", addressOf = () => address } = options;
    this.#options = options;
    this.#prefix = prefix;
    this.#groupIds = Array.from({ length: groups }, (_, n) => `${prefix}group-${n}`);
    this.#owner = new RawClient({ address, userId: `${prefix}owner`, random });
    for (let n = 0; n < sdk; n++)
      this.clients.push(new SdkClient({ address: addressOf(n), userId: `${prefix}sdk-${n}` }));
    for (let n = 0; n < raw; n++) {
      const userId = `${prefix}raw-${n}`;
      this.clients.push(new RawClient({ address: addressOf(sdk + n), userId, random }));
      if (n % 4 === 3)
        this.clients.push(new RawClient({ address: addressOf(sdk + n), userId, deviceId: "second", random }));
    }
  }

  /** The histories of all clients. */
  get histories(): History[] {
    return [this.#owner, ...this.clients].map(({ history }) => history);
  }

  /** Everyone's ids. */
  get userIds(): string[] {
    return [...new Set(this.clients.map(({ userId }) => userId))];
  }

  /** How many streams are open. */
  get openStreams(): number {
    return [this.#owner, ...this.clients].filter(({ live }) => live).length;
  }

  /** Whether everyone's stream is open. */
  get allLive(): boolean {
    return this.clients.every(({ live }) => live);
  }

  /** Breaks the streams of some of the raw clients, as processes that die do; they open others. */
  breakSome(share: number): void {
    for (const client of this.clients)
      if (client instanceof RawClient && this.#options.random() < share) client.breakStream();
  }

  /** How often streams were opened again. */
  get reconnects(): number {
    return this.clients.reduce((sum, client) => sum + client.reconnects, 0);
  }

  /** Events the SDK held back because the application had them. */
  get repeatsHeldBack(): number {
    return this.clients.reduce((sum, client) => sum + (client instanceof SdkClient ? client.repeats : 0), 0);
  }

  /** Connects everyone, makes the groups with two thirds of the users in each, and begins to send. */
  async start(): Promise<void> {
    await this.#owner.start();
    for (let n = 0; n < this.clients.length; n += 32)
      await Promise.all(this.clients.slice(n, n + 32).map((client) => client.start()));
    for (const groupId of this.#groupIds) {
      const memberIds = this.userIds.filter(() => this.#options.random() < 0.67);
      await this.#owner.perform({ f: "create-group", groupId, memberIds });
    }
    this.#storming = this.#send();
  }

  /** Stops sending and waits until every operation has a definite outcome. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#storming;
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  /**
   * Stops, and waits until every client has received everything: a last message
   * to each user comes after all others.
   *
   * @returns who did not, as violations of I12
   */
  async settle(): Promise<Violation[]> {
    await this.stop();
    // New ones each time: a storm may settle twice.
    const marks = new Map(
      this.userIds.map((userId) => [userId, `${bodyMarker} last ${uuidv7()} for ${userId}`]),
    );
    for (const [recipientId, body] of marks) {
      await this.#owner.perform({ f: "send", to: { recipientId }, clientMessageId: uuidv7(), body });
    }
    const { settleMs = 60_000 } = this.#options;
    const late = () => this.clients.filter((client) => !client.has(marks.get(client.userId) as string));
    await eventually(() => late().length === 0, settleMs).catch(() => {});
    return late().map(({ history }) => ({
      rule: "I12",
      text: `${history.client} did not receive the last message within ${settleMs} ms`,
    }));
  }

  /** Ends every client. */
  async close(): Promise<void> {
    this.#stopped = true;
    await Promise.all([this.#owner, ...this.clients].map((client) => client.close()));
  }

  async #send(): Promise<void> {
    const { perSecond } = this.#options;
    const startMs = performance.now();
    while (!this.#stopped) {
      const due = ((performance.now() - startMs) / 1000) * perSecond;
      // Users wait for their answers: while the server is away, not everything is worth retrying.
      while (this.#sent < due && this.#underWay.size < 4 * this.clients.length) {
        this.#sent++;
        this.#begin();
      }
      if (this.#sent < due) this.#sent = Math.floor(due);
      await delay(10);
    }
  }

  #begin(): void {
    const done = this.#one().finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
  }

  /** Has somebody do something. */
  async #one(): Promise<void> {
    const { random, membership = true } = this.#options;
    const client = pick(random, this.clients);
    const groupId = pick(random, this.#groupIds);
    const choice = random();
    if (membership && choice < 0.04) {
      const userIds = [client.userId];
      if (choice < 0.01) await client.perform({ f: "join", groupId });
      else if (choice < 0.02) await client.perform({ f: "leave", groupId });
      else if (choice < 0.03) await this.#owner.perform({ f: "add", groupId, userIds });
      else await this.#owner.perform({ f: "remove", groupId, userIds });
      return;
    }
    const peers = this.userIds.filter((userId) => userId !== client.userId);
    const to = choice < 0.6 ? { groupId } : { recipientId: pick(random, peers) };
    const clientMessageId = uuidv7();
    const filler = "x".repeat(Math.floor(random() * 200));
    const body = `${bodyMarker} ${this.#prefix}${client.history.client} ${clientMessageId} ${filler}`;
    if (await client.perform({ f: "send", to, clientMessageId, body })) this.acknowledged++;
  }
}
