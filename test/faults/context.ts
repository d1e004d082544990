import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { createRandom } from "../support/random.ts";
import { type CheckOptions, check } from "./checker/checker.ts";
import { checkLog } from "./checker/logs.ts";
import type { Violation } from "./checker/violation.ts";
import { type ClusterOptions, FaultCluster } from "./cluster/cluster.ts";
import { type History, writeHistories } from "./history.ts";
import { FaultServer, type FaultServerOptions, type FaultService } from "./server.ts";
import { bodyMarker, Storm, type StormOptions } from "./storm.ts";

/** How much is done. */
export type Mode = "ci" | "full";

/** How histories are judged, where a fault differs from the rest. */
export interface ConcludeOptions extends Partial<Omit<CheckOptions, "histories" | "dump">> {
  /** Further histories than those of storms. */
  histories?: History[];
  /** Whether the server is left as it is, dead or alive; by default it is asked to stop, which has to go well. */
  leave?: boolean;
  /** Whether nobody can read the server's log, and with it what it says of its sessions. */
  statusless?: boolean;
  /** Lines that are for people, and that a server writes in this fault. */
  saidToPeople?: RegExp;
}

/** What a fault works with. Everything it starts is closed in the end. */
export class FaultContext {
  readonly mode: Mode;
  readonly seed: number;
  readonly random: () => number;
  readonly #name: string;
  readonly #keepIn: string | undefined;
  readonly #settleMs: number | undefined;
  readonly #closers: (() => Promise<void> | void)[] = [];
  readonly #storms: Storm[] = [];

  /**
   * @param keepIn where to write the histories of a run that broke a rule
   * @param settleMs how long everything may take to arrive once a storm is over, whatever the fault says
   */
  constructor(name: string, mode: Mode, seed: number, keepIn?: string, settleMs?: number) {
    this.#name = name;
    this.mode = mode;
    this.seed = seed;
    this.#keepIn = keepIn;
    this.#settleMs = settleMs;
    this.random = createRandom(seed, name);
  }

  /** A number for the small run or the whole one. */
  scale(ci: number, full: number): number {
    return this.mode === "ci" ? ci : full;
  }

  /** Waits for a random time, in milliseconds. */
  async pause(fromMs: number, toMs: number): Promise<void> {
    await delay(fromMs + this.random() * (toMs - fromMs));
  }

  /** Has something closed in the end, the last first. */
  defer(close: () => Promise<void> | void): void {
    this.#closers.push(close);
  }

  /** Tells whoever waits what is being done. */
  say(text: string): void {
    process.stderr.write(`  ${this.#name}: ${text}\n`);
  }

  /** Makes a server and starts it. */
  async serve(options: FaultServerOptions = {}): Promise<FaultServer> {
    const server = new FaultServer(await this.freePort(), options);
    this.defer(() => server.close());
    await server.start();
    return server;
  }

  /** Starts PostgreSQL, NATS and nodes. */
  async cluster(options: ClusterOptions = {}): Promise<FaultCluster> {
    const cluster = new FaultCluster(this, options);
    this.defer(() => cluster.close());
    await cluster.start();
    return cluster;
  }

  /** Starts a storm. */
  async storm(
    options: Pick<StormOptions, "address"> & Partial<Omit<StormOptions, "address" | "random">>,
  ): Promise<Storm> {
    const settle = this.#settleMs === undefined ? {} : { settleMs: this.#settleMs };
    const defaults = { sdk: 30, raw: 20, groups: 5, perSecond: 300 };
    const storm = new Storm({ ...defaults, ...options, ...settle, random: this.random });
    this.defer(() => storm.close());
    this.#storms.push(storm);
    await storm.start();
    return storm;
  }

  /**
   * Lets all storms settle, stops the servers and judges everything: the
   * histories against the store, the store itself, the logs and the exits.
   */
  async conclude(service: FaultService, options: ConcludeOptions = {}): Promise<Violation[]> {
    const {
      histories: more = [],
      leave = false,
      statusless = false,
      saidToPeople,
      ...checkOptions
    } = options;
    const violations: Violation[] = [];
    // Nobody would ever be answered.
    if (!service.servers.some(({ running }) => running)) {
      for (const { exits } of service.servers)
        violations.push(...checkLog({ log: "", exits, bodyMarker, saidToPeople }));
      return violations;
    }
    for (const storm of this.#storms) violations.push(...(await storm.settle()));
    if (more.length === 0 && !statusless) violations.push(...(await this.#agree(service)));
    for (const storm of this.#storms) await storm.close();
    const running = service.servers.filter((server) => server.running);
    await Promise.all(running.map((server) => (leave ? server.kill() : server.terminate())));

    const histories = [...this.#storms.flatMap((storm) => storm.histories), ...more];
    const expectCaughtUp = this.#storms.flatMap(({ clients }) =>
      clients.map(({ history }) => history.client),
    );
    violations.push(...(await this.judge(service, histories, { expectCaughtUp, ...checkOptions })));
    for (const { log, exits } of service.servers)
      violations.push(...checkLog({ log, exits, bodyMarker, saidToPeople }));
    if (violations.length > 0 && this.#keepIn !== undefined) {
      writeHistories(this.#keepIn, histories);
      this.say(`histories are in ${this.#keepIn}`);
    }
    return violations;
  }

  /** Judges histories against the store of servers that do not run, and the store itself. */
  async judge(
    service: FaultService,
    histories: History[],
    options: Partial<Omit<CheckOptions, "histories" | "dump">> = {},
  ): Promise<Violation[]> {
    const { dump, violations } = await service.inspect();
    return [...violations, ...check({ histories, dump, ...options })];
  }

  /** Whether both sides have the same streams open. */
  async #agree({ servers }: FaultService): Promise<Violation[]> {
    const count = async () => {
      const running = servers.filter((server) => server.running);
      const statuses = await Promise.all(running.map((server) => server.status()));
      return statuses.reduce((sum, { sessions }) => sum + sessions, 0);
    };
    const open = () => this.#storms.reduce((sum, storm) => sum + storm.openStreams, 0);
    // A client that moved to another node may leave a session behind for as long as its end takes to arrive.
    if (servers.length > 1) await eventually(async () => (await count()) === open(), 20_000).catch(() => {});
    const sessions = await count();
    return sessions === open()
      ? []
      : [{ rule: "I12", text: `the server has ${sessions} sessions, clients have ${open()}` }];
  }

  /** A free port outside the range from which the system takes the ports of clients. */
  freePort(): Promise<number> {
    return freePort();
  }

  /** Closes everything. */
  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}
