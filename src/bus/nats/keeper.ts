import { dial, type NatsLink } from "./connection.ts";
import { NatsError } from "./errors.ts";
import type { RareLog } from "./rare-log.ts";
import type { NatsServers } from "./settings.ts";

/** How long between two attempts to connect, at least and at most; each time a random part of a growing time. */
const retry = { firstMs: 200, longestMs: 5_000 };
/** A connection that ends sooner than this is followed by the next as slowly as if it had failed. */
const stayedMs = 10_000;
/** How long a new connection may take to confirm all subscriptions. */
const resubscribeMs = 10_000;
/** How long a closing one may take to confirm what was published. */
const flushMs = 2_000;

/** How to keep a connection. */
export interface KeeperOptions extends NatsServers {
  name: string;
  /** Whether to wait, for ever, for a server that cannot be reached at the start. */
  waitForServer: boolean;
  /** Ends that wait, with its reason as the error. */
  signal: AbortSignal | undefined;
  log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
  rare: RareLog;
}

/** Callbacks for what happens to connections. */
export interface KeeperListener {
  /** There is a connection: the time to subscribe. */
  onOpen(link: NatsLink): void;
  /** It knows the subscriptions: the time to publish. `again` says that it is not the first. */
  onReady(link: NatsLink, again: boolean): void;
  /** It has ended. Called after `onOpen`, whether it was ready or not. */
  onLost(): void;
  /** The server complains of something. */
  onError(error: Error): void;
}

/** Keeps a connection to NATS: makes it, and the next one when it has ended, for ever. */
export class NatsKeeper {
  readonly #options: KeeperOptions;
  readonly #listener: KeeperListener;
  readonly #closing = new AbortController();
  /** The connection from when it is open. */
  #link: NatsLink | undefined;
  #ready = false;
  /** Attempts to connect since a connection last stayed: each waits longer than the one before. */
  #attempts = 0;
  #readySinceMs = 0;

  constructor(options: KeeperOptions, listener: KeeperListener) {
    this.#options = options;
    this.#listener = listener;
  }

  /**
   * Makes the first connection and has others follow it.
   *
   * @throws NatsError when there is none, or the reason of `signal`
   */
  async start(): Promise<void> {
    const { log, rare, signal, waitForServer } = this.#options;
    const giveUp = () => this.#closing.abort(signal?.reason);
    if (signal?.aborted) giveUp();
    signal?.addEventListener("abort", giveUp, { once: true });
    try {
      while (true) {
        try {
          const link = await this.#connect();
          log.info({ server: link.server }, "connected to NATS");
          this.#listener.onReady(link, false);
          return;
        } catch (error) {
          this.#closing.signal.throwIfAborted();
          if (!waitForServer || (error instanceof NatsError && !error.passing)) throw error;
          rare.warn({ reason: (error as Error).message }, "waiting for NATS");
          await this.#pause();
          this.#closing.signal.throwIfAborted();
        }
      }
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** Ends the connection, once the server has what was sent, or after 2 seconds. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    const link = this.#link;
    const flushes = this.#ready;
    this.#link = undefined;
    this.#ready = false;
    if (flushes) await link?.flush(flushMs).catch(() => {});
    link?.destroy();
  }

  /** Connects, has everything subscribed, and waits until the server has taken note of it. */
  async #connect(): Promise<NatsLink> {
    const { signal } = this.#closing;
    const link = await dial({ ...this.#options, signal, onError: (error) => this.#listener.onError(error) });
    this.#link = link;
    link.ended.then((why) => this.#lost(link, why)).catch(() => {});
    try {
      this.#listener.onOpen(link);
      await link.flush(resubscribeMs);
      signal.throwIfAborted();
      // It may have ended right after it confirmed.
      if (this.#link !== link) throw new NatsError(await link.ended, { failure: "unreachable" });
    } catch (error) {
      if (this.#link === link) this.#drop(link);
      throw error;
    }
    this.#ready = true;
    this.#readySinceMs = performance.now();
    return link;
  }

  #lost(link: NatsLink, why: string): void {
    if (this.#link !== link) return;
    const wasReady = this.#ready;
    this.#drop(link);
    // One that was not ready is still waited for, and that fails.
    if (!wasReady) return;
    this.#options.log.warn({ server: link.server, reason: why }, "disconnected from NATS");
    if (performance.now() - this.#readySinceMs > stayedMs) this.#attempts = 0;
    this.#reconnect().catch(() => {});
  }

  #drop(link: NatsLink): void {
    this.#link = undefined;
    this.#ready = false;
    link.destroy();
    this.#listener.onLost();
  }

  async #reconnect(): Promise<void> {
    const { log, rare } = this.#options;
    const sinceMs = performance.now();
    while (true) {
      await this.#pause();
      if (this.#closing.signal.aborted) return;
      try {
        const link = await this.#connect();
        const lostMs = Math.round(performance.now() - sinceMs);
        log.info({ server: link.server, lostMs }, "reconnected to NATS");
        this.#listener.onReady(link, true);
        return;
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        rare.warn({ reason: (error as Error).message }, "still no connection to NATS");
      }
    }
  }

  /** Waits a random time, longer with each attempt, so that nodes do not come back all at once. */
  #pause(): Promise<void> {
    const longestMs = Math.min(retry.longestMs, retry.firstMs * 2 ** this.#attempts++);
    return pause(longestMs * (0.5 + Math.random() / 2), this.#closing.signal);
  }
}

/** Resolves after a time, or when the signal fires. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}
