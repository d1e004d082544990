/**
 * The bus between processes, on core NATS. The store is the truth, so nothing
 * here is kept for later: what is published while there is no connection, or
 * while the server takes nothing, is dropped.
 */

import { type Msg, nuid, type Subscription } from "@nats-io/transport-node";
import { failPoint } from "../../fail-points.ts";
import type { StoreIdentity } from "../../store/ports/identity.ts";
import type { Bus, BusHandler, BusMessage, RequestOptions } from "../bus.ts";
import type { NatsLink } from "./connection.ts";
import { NatsKeeper } from "./keeper.ts";
import { createRareLog, type RareLog } from "./rare-log.ts";
import { PendingRequests } from "./requests.ts";
import { createSeal, type Seal } from "./seal.ts";
import type { NatsServers } from "./settings.ts";
import { inboxOf, natsSubjectOf } from "./subjects.ts";
import { createWriteWindow, type WriteWindow } from "./write-window.ts";

export { NatsError, type NatsFailure } from "./errors.ts";
export type { NatsServers } from "./settings.ts";

/** How to make the bus. */
export interface NatsBusOptions extends NatsServers {
  /** The store that the messages speak of: those of another one, or of another epoch, are dropped. */
  store: StoreIdentity;
  /** The first token or tokens of every subject. Services that share a NATS account need different ones. Default: `parlance`. */
  prefix?: string;
  /** The name of connections in the server's monitoring. Default: `parlance`. */
  name?: string;
  /**
   * Whether to wait, for ever, for a server that cannot be reached when the bus
   * is made. Refused credentials, failed TLS and wrong settings end the wait
   * at once, since they do not pass. Default: false.
   */
  waitForServer?: boolean;
  /** Ends the wait for the first connection, with its reason as the error. */
  signal?: AbortSignal;
  /** Told of connections made and lost and of what is ignored; pino fits. */
  log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
}

/** How often, at most, a line is logged that could be logged for each message or attempt. */
const rareMs = 30_000;
/** Resets that come in a row, as from permissions that are missing, are told once in this time. */
const resetPauseMs = 1_000;

/**
 * Connects to NATS and makes a bus.
 *
 * It reconnects for ever, subscribes again and then tells `onReset`. A server
 * that no longer answers is given up within 10 seconds.
 *
 * @throws NatsError when there is no connection, or there will not be one by waiting
 */
export async function createNatsBus(options: NatsBusOptions): Promise<Bus> {
  const bus = new NatsBus(options);
  await bus.start();
  return bus;
}

/** The handlers of one subject, and its subscription at the server while there is a connection. */
interface Topic {
  handlers: Set<BusHandler>;
  natsSubject: string;
  subscription?: Subscription | undefined;
}

class NatsBus implements Bus {
  readonly #prefix: string;
  readonly #inbox: string;
  readonly #rare: RareLog;
  readonly #topics = new Map<string, Topic>();
  readonly #requests = new PendingRequests();
  readonly #resetHandlers = new Set<() => void>();
  readonly #doubtHandlers = new Set<() => void>();
  readonly #seal: Seal;
  readonly #keeper: NatsKeeper;
  /** The connection, from when it is open: subscriptions go there. */
  #link: NatsLink | undefined;
  /** The window of writes to it, once it knows all subscriptions: messages go there. */
  #window: WriteWindow | undefined;
  #closed = false;
  #resetTimer: NodeJS.Timeout | undefined;
  #resetAgain = false;
  /** The message encoded last, until the code that publishes it has run: it may publish it on several subjects. */
  #encoded: { message: BusMessage; bytes: Uint8Array } | undefined;

  constructor(options: NatsBusOptions) {
    this.#prefix = options.prefix ?? "parlance";
    this.#inbox = inboxOf(this.#prefix, nuid.next());
    this.#rare = createRareLog(options.log, rareMs);
    this.#seal = createSeal(options.store);
    const { name = "parlance", waitForServer = false, signal } = options;
    this.#keeper = new NatsKeeper(
      { ...options, name, waitForServer, signal, rare: this.#rare },
      {
        onOpen: (link) => this.#open(link),
        onReady: (link, again) => {
          if (this.#closed) return;
          this.#window = createWriteWindow(link.nats);
          if (again) this.#reset();
        },
        onLost: () => this.#lose(),
        onError: (error) => this.#noteError(error),
      },
    );
  }

  start(): Promise<void> {
    return this.#keeper.start();
  }

  get connected(): boolean {
    return this.#window !== undefined;
  }

  publish(subject: string, message: BusMessage): void {
    const topic = this.#topics.get(subject);
    if (topic !== undefined) this.#deliver(topic, message);
    this.#send(topic?.natsSubject ?? natsSubjectOf(this.#prefix, subject), message);
  }

  subscribe(subject: string, handler: BusHandler): () => void {
    if (this.#closed) return () => {};
    let topic = this.#topics.get(subject);
    if (topic === undefined) {
      topic = { handlers: new Set(), natsSubject: natsSubjectOf(this.#prefix, subject) };
      this.#topics.set(subject, topic);
      this.#subscribeAtServer(topic);
    }
    const { handlers } = topic;
    handlers.add(handler);
    return () => {
      handlers.delete(handler);
      const known = this.#topics.get(subject);
      if (handlers.size > 0 || known?.handlers !== handlers) return;
      this.#topics.delete(subject);
      known.subscription?.unsubscribe();
    };
  }

  async request(subject: string, message: BusMessage, options: RequestOptions): Promise<BusMessage[]> {
    if (!this.connected) return [];
    const natsSubject = natsSubjectOf(this.#prefix, subject);
    return this.#requests.gather(options, (token) =>
      this.#send(natsSubject, message, `${this.#inbox}.${token}`),
    );
  }

  onReset(handler: () => void): () => void {
    return register(this.#resetHandlers, handler);
  }

  onDoubt(handler: () => void): () => void {
    return register(this.#doubtHandlers, handler);
  }

  async close(): Promise<void> {
    this.#closed = true;
    // Handlers too: messages may still arrive until the connection has ended.
    for (const { handlers } of this.#topics.values()) handlers.clear();
    this.#topics.clear();
    this.#resetHandlers.clear();
    this.#doubtHandlers.clear();
    clearTimeout(this.#resetTimer);
    this.#lose();
    await this.#keeper.close();
  }

  #open(link: NatsLink): void {
    this.#link = link;
    link.nats.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#takeAnswer(message);
      },
    });
    for (const topic of this.#topics.values()) this.#subscribeAtServer(topic);
  }

  #lose(): void {
    this.#link = undefined;
    this.#window = undefined;
    for (const topic of this.#topics.values()) topic.subscription = undefined;
    this.#requests.finishAll();
  }

  #subscribeAtServer(topic: Topic): void {
    try {
      topic.subscription = this.#link?.nats.subscribe(topic.natsSubject, {
        callback: (error, message) => {
          if (error === null) this.#take(topic, message);
        },
      });
    } catch (error) {
      // The connection is about to end; the next one subscribes.
      this.#rare.warn({ err: error }, "a subscription at NATS failed");
    }
  }

  /** Handles a message from another process. Must not throw: it would end the client's reading. */
  #take(topic: Topic, message: Msg): void {
    const decoded = this.#decode(message);
    if (decoded === undefined) return;
    this.#deliver(topic, decoded, (answer) => {
      if (message.reply) this.#send(message.reply, answer);
    });
  }

  #takeAnswer(message: Msg): void {
    const token = message.subject.slice(this.#inbox.length + 1);
    if (!this.#requests.has(token)) return;
    // The server says that nobody listens: https://docs.nats.io/nats-concepts/core-nats/reqreply#no-responders
    if (message.data.length === 0 && message.headers?.code === 503) {
      this.#requests.finish(token);
      return;
    }
    const answer = this.#decode(message);
    if (answer !== undefined) this.#requests.answer(token, answer);
  }

  #decode({ data, subject }: Msg): BusMessage | undefined {
    if (failPoint("bus.receive")) return undefined;
    try {
      const message = this.#seal.unseal(data);
      if (message === undefined)
        this.#rare.warn({ subject }, "a message of another release was ignored: its kind is unknown here");
      else if (message === "foreign")
        this.#rare.warn({ subject }, "a message of another epoch of the log was ignored, or a damaged one");
      else if (message === "doubtful") this.#doubt(subject);
      else return message;
      return undefined;
    } catch (error) {
      this.#rare.warn(
        { subject, bytes: data.length, reason: (error as Error).message },
        "bytes that are no message were ignored",
      );
      return undefined;
    }
  }

  #deliver(topic: Topic, message: BusMessage, answerWith?: (answer: BusMessage) => void): void {
    for (const handler of topic.handlers) {
      try {
        const answer = handler(message);
        if (answer !== undefined) answerWith?.(answer);
      } catch (error) {
        this.#rare.warn({ err: error, type: message.type }, "a handler of the bus failed");
      }
    }
  }

  /** Sends a message to other processes, or drops it. Tells whether it was sent; never throws. */
  #send(natsSubject: string, message: BusMessage, reply?: string): boolean {
    const window = this.#window;
    if (window === undefined) return false;
    if (window.full) {
      this.#rare.warn({}, "the NATS server takes too little; messages to other nodes are dropped");
      return false;
    }
    if (failPoint("bus.send")) return true;
    try {
      window.publish(natsSubject, this.#encode(message), reply);
      return true;
    } catch (error) {
      this.#rare.warn(
        { reason: (error as Error).message, type: message.type },
        "a message to other nodes could not be sent",
      );
      return false;
    }
  }

  #encode(message: BusMessage): Uint8Array {
    if (this.#encoded?.message === message) return this.#encoded.bytes;
    const bytes = this.#seal.seal(message);
    if (this.#encoded === undefined) {
      queueMicrotask(() => {
        this.#encoded = undefined;
      });
    }
    this.#encoded = { message, bytes };
    return bytes;
  }

  /** Handles what the server complains of: permissions that are missing, messages that we took too slowly. */
  #noteError(error: Error): void {
    this.#rare.warn({ reason: error.message }, "NATS reports an error");
    if (this.#window !== undefined) this.#reset();
  }

  /** Tells that messages may be lost: at once, and then at most once in a while. */
  #reset(): void {
    if (this.#resetTimer !== undefined) {
      this.#resetAgain = true;
      return;
    }
    this.#resetAgain = false;
    this.#resetTimer = setTimeout(() => {
      this.#resetTimer = undefined;
      if (this.#resetAgain) this.#reset();
    }, resetPauseMs).unref();
    this.#tell(this.#resetHandlers);
  }

  #doubt(subject: string): void {
    this.#rare.warn(
      { subject },
      "a message without epoch, as of the release before, or a damaged one was looked up in the store",
    );
    this.#tell(this.#doubtHandlers);
  }

  #tell(handlers: ReadonlySet<() => void>): void {
    for (const handler of handlers) {
      try {
        handler();
      } catch (error) {
        this.#rare.warn({ err: error }, "a handler of the bus failed");
      }
    }
  }
}

/** Adds a handler, as an entry of its own, so that it may be registered twice. */
function register(handlers: Set<() => void>, handler: () => void): () => void {
  const entry = () => handler();
  handlers.add(entry);
  return () => void handlers.delete(entry);
}
