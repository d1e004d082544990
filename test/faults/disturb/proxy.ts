import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { type Direction, type FlowSettings, Link, type Shared } from "./proxied-link.ts";

export type { Direction, FlowSettings } from "./proxied-link.ts";

/** A TCP proxy that harms what goes through it. */
export interface FaultProxy {
  /** Where clients connect, as `host:port`. */
  readonly address: string;
  readonly port: number;
  /** How many connections are open on the clients' side. */
  readonly connections: number;
  /** How many bytes were passed on so far. */
  readonly bytes: Readonly<Record<Direction, number>>;
  /**
   * After how long without a byte a connection is forgotten, as a middle box
   * does: from then on it loses everything in both directions, and nobody is
   * told. Never by default. May be set at any time.
   */
  idleBlackHoleMs: number;
  /** Changes settings of one direction, for present and future connections. */
  set(direction: Direction, settings: Partial<FlowSettings>): void;
  /** Takes back all settings. */
  clear(): void;
  /** Has future connections go elsewhere. */
  setTarget(target: string): void;
  /** Resets all connections, on both sides. */
  resetAll(): void;
  /** Ends all connections, on both sides. */
  cutAll(): void;
  /** Ends one direction of all connections; the other goes on. */
  halfClose(direction: Direction): void;
  /** Refuses new connections, or accepts them again. */
  refuse(refused: boolean): Promise<void>;
  /** Resets all connections and stops. */
  close(): Promise<void>;
}

/** How to run a proxy. */
export interface ProxyOptions {
  /**
   * The port to listen on; by default any free one. A proxy that refuses and
   * accepts again needs one that nobody else is given in between.
   */
  port?: number;
  /** Draws jitter: numbers from 0 to below 1. */
  random?: () => number;
}

const unharmed: FlowSettings = {
  latencyMs: 0,
  jitterMs: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  chunkBytes: Number.POSITIVE_INFINITY,
  stall: false,
  blackHole: false,
  cutAfterBytes: Number.POSITIVE_INFINITY,
};

/** Starts a proxy on loopback in front of a server. */
export async function startProxy(
  target: string,
  { port = 0, random = Math.random }: ProxyOptions = {},
): Promise<FaultProxy> {
  const settings: Record<Direction, FlowSettings> = { up: { ...unharmed }, down: { ...unharmed } };
  const shared: Shared = {
    settings,
    bytes: { up: 0, down: 0 },
    idleBlackHoleMs: Number.POSITIVE_INFINITY,
    random,
  };
  const links = new Set<Link>();
  const wakeAll = () => {
    for (const link of links) link.wake();
  };

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const link = new Link(near, target, shared);
    links.add(link);
    link.onClose = () => links.delete(link);
  });
  await listen(server, port);
  const bound = server.address() as { port: number };

  return {
    address: `127.0.0.1:${bound.port}`,
    port: bound.port,
    bytes: shared.bytes,
    get connections() {
      return [...links].filter((link) => !link.near.closed).length;
    },
    get idleBlackHoleMs() {
      return shared.idleBlackHoleMs;
    },
    set idleBlackHoleMs(idleMs) {
      shared.idleBlackHoleMs = idleMs;
    },
    set(direction, change) {
      Object.assign(settings[direction], change);
      wakeAll();
    },
    clear() {
      Object.assign(settings.up, unharmed);
      Object.assign(settings.down, unharmed);
      shared.idleBlackHoleMs = Number.POSITIVE_INFINITY;
      wakeAll();
    },
    setTarget(newTarget) {
      target = newTarget;
    },
    resetAll() {
      for (const link of links) link.reset();
    },
    cutAll() {
      for (const link of links) link.cut();
    },
    halfClose(direction) {
      for (const link of links) link[direction].halfClose();
    },
    async refuse(refused) {
      if (refused) server.close();
      else if (!server.listening) await listen(server, bound.port);
    },
    async close() {
      server.close();
      const closed = [...links].map((link) => link.closed);
      for (const link of links) link.reset();
      await Promise.all(closed);
    },
  };
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
}
