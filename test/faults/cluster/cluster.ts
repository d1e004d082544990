/** A whole service under a fault: PostgreSQL, NATS and several nodes, each a process of its own. */

import { existsSync, readFileSync } from "node:fs";
import { createPostgresStore } from "../../../src/store/postgres/postgres-store.ts";
import { clusterMissing } from "../../support/cluster.ts";
import { type NatsServer, type NatsServerOptions, startNatsServer } from "../../support/nats.ts";
import { startPostgres, type TestPostgres } from "../../support/postgres.ts";
import type { Violation } from "../checker/violation.ts";
import type { FaultContext } from "../context.ts";
import { type FaultProxy, startProxy } from "../disturb/proxy.ts";
import { type Dump, dumpStore } from "../dump.ts";
import { cpuMsOf, FaultServer, type FaultServerOptions, type FaultService } from "../server.ts";

/** How to run a service. */
export interface ClusterOptions {
  /** How many nodes. Default 3. */
  nodes?: number;
  /** Further options of `parlance serve`, for all nodes. */
  args?: readonly string[];
  /** What differs for one node, by its index. */
  optionsOf?: (index: number) => FaultServerOptions;
  /** What nodes reach by a way of their own, which can be cut. */
  proxied?: "nats" | "postgres";
  /** Whether there are two NATS servers, each with every other node, and a route between them that can be held up. */
  routed?: boolean;
  /** Settings of PostgreSQL that differ. */
  postgresSettings?: Readonly<Record<string, string | number>>;
}

/** Why no service of several nodes can be started here, with what to do; undefined where one can. */
export const missingCluster = (): string | undefined => clusterMissing;

/** The nodes of one service, and what they need. */
export class FaultCluster implements FaultService {
  readonly servers: FaultServer[] = [];
  /** By node: the way to what is proxied. */
  readonly proxies: FaultProxy[] = [];
  /** Where each node takes HTTP, as `host:port`. */
  readonly httpAddresses: string[] = [];
  /** The server that has the database; another one after a failover. */
  database: TestPostgres | undefined;
  readonly #context: FaultContext;
  readonly #options: ClusterOptions;
  #nats: NatsServer | undefined;
  /** The NATS server of every other node, and the route from there to the first. */
  #otherNats: { server: NatsServer; route: FaultProxy } | undefined;
  /** The database's name there. */
  #name = "";

  constructor(context: FaultContext, options: ClusterOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** Where the nodes take gRPC. */
  get addresses(): string[] {
    return this.servers.map(({ address }) => address);
  }

  get nats(): NatsServer {
    return this.#nats as NatsServer;
  }

  /** The way between the two NATS servers. */
  get route(): FaultProxy {
    return this.#otherNats?.route as FaultProxy;
  }

  get postgres(): TestPostgres {
    return this.database as TestPostgres;
  }

  /** The URL of the database, not by way of a proxy. */
  get databaseUrl(): string {
    return this.postgres.urlOf(this.#name);
  }

  /** A node by its index. */
  node(index: number): FaultServer {
    const server = this.servers[index];
    if (server === undefined) throw new Error(`there is no node ${index}`);
    return server;
  }

  async start(): Promise<void> {
    const { nodes = 3, postgresSettings = {} } = this.#options;
    const [postgresPort, natsPort] = [await this.#context.freePort(), await this.#context.freePort()];
    const starting = [
      startPostgres({ port: postgresPort, settings: postgresSettings }).then((postgres) => {
        this.#context.defer(() => this.#closePostgres(postgres));
        this.database = postgres;
      }),
      this.#startNats(natsPort),
    ];
    await Promise.all(starting);
    this.#name = new URL(await this.postgres.createDatabase()).pathname.slice(1);
    for (let index = 0; index < nodes; index++) this.servers.push(await this.#createNode(index));
    // The first makes the tables, for which the others would wait anyway.
    await this.node(0).start();
    await Promise.all(this.servers.slice(1).map((server) => server.start()));
  }

  /** Runs statements in the database. */
  query(sql: string): ReturnType<TestPostgres["query"]> {
    return this.postgres.query(this.databaseUrl, sql);
  }

  /** Stops all processes of PostgreSQL from running, without their knowledge, or lets them go on. */
  signalPostgres(signal: "SIGSTOP" | "SIGCONT"): void {
    const { pid } = this.postgres;
    const all = signal === "SIGSTOP" ? [pid, ...childrenOf(pid)] : [...childrenOf(pid), pid];
    for (const each of all) {
      try {
        process.kill(each, signal);
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  /** How much CPU time the processes of PostgreSQL that run now have used, in milliseconds. */
  postgresCpuMs(): number {
    const { pid } = this.postgres;
    return [pid, ...childrenOf(pid)].reduce((sum, each) => sum + cpuMsOrNone(each), 0);
  }

  async inspect(): Promise<{ dump: Dump; violations: Violation[] }> {
    const store = await createPostgresStore({ url: this.databaseUrl, poolSize: 4 });
    try {
      return { dump: await dumpStore(store), violations: [] };
    } finally {
      await store.close();
    }
  }

  /** Ends the nodes and removes what they have. */
  async close(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.close()));
    await Promise.all(this.proxies.map((proxy) => proxy.close()));
  }

  async #createNode(index: number): Promise<FaultServer> {
    const { args = [], optionsOf, proxied } = this.#options;
    const { random } = this.#context;
    const port = proxied === "nats" ? this.nats.port : this.postgres.port;
    const proxy =
      proxied === undefined
        ? undefined
        : await startProxy(`127.0.0.1:${port}`, { port: await this.#context.freePort(), random });
    if (proxy !== undefined) this.proxies.push(proxy);
    const databasePort = proxied === "postgres" ? proxy?.port : this.postgres.port;
    const nats = index % 2 === 1 && this.#otherNats !== undefined ? this.#otherNats.server : this.nats;
    const natsPort = proxied === "nats" ? proxy?.port : nats.port;
    const httpPort = await this.#context.freePort();
    this.httpAddresses.push(`127.0.0.1:${httpPort}`);
    const own = optionsOf?.(index) ?? {};
    return new FaultServer(await this.#context.freePort(), {
      ...own,
      env: { PARLANCE_TEST_SEED: String(this.#context.seed + index), ...own.env },
      args: [
        ...["--node", `node-${index + 1}`, "--http-port", String(httpPort)],
        ...["--database-url", `postgresql://postgres@127.0.0.1:${databasePort}/${this.#name}`],
        ...["--nats-url", `nats://127.0.0.1:${natsPort}`],
        ...args,
        ...(own.args ?? []),
      ],
    });
  }

  async #closePostgres(postgres: TestPostgres): Promise<void> {
    if (this.database === postgres) this.signalPostgres("SIGCONT");
    await postgres.close();
  }

  async #startNats(port: number): Promise<void> {
    const start = async (options: NatsServerOptions) => {
      const nats = await startNatsServer(options);
      this.#context.defer(() => nats.remove());
      return nats;
    };
    if (this.#options.routed !== true) {
      this.#nats = await start({ port });
      return;
    }
    const [own, other, otherRoute] = [
      await this.#context.freePort(),
      await this.#context.freePort(),
      await this.#context.freePort(),
    ];
    this.#nats = await start({ port, cluster: { port: own, routes: [] } });
    const route = await startProxy(`127.0.0.1:${own}`, { port: await this.#context.freePort() });
    const server = await start({ port: other, cluster: { port: otherRoute, routes: [route.port] } });
    this.#otherNats = { server, route };
  }
}

function childrenOf(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8").split(" ").filter(Boolean).map(Number);
}

function cpuMsOrNone(pid: number): number {
  try {
    return cpuMsOf(pid);
  } catch {
    // It has ended meanwhile.
    return 0;
  }
}
