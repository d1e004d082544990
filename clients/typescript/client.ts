import { create, type DescService } from "@bufbuild/protobuf";
import { type Client, createClientFactory } from "nice-grpc";
import { ChatService, SetTypingRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { Conversation } from "../../gen/parlance/chat/v1/conversation_pb.js";
import { type Cursor, CursorSchema } from "../../gen/parlance/chat/v1/cursor_pb.js";
import { type Limits, LimitsSchema } from "../../gen/parlance/chat/v1/device_pb.js";
import { type Behind, CaughtUpSchema, type Opened } from "../../gen/parlance/chat/v1/event_pb.js";
import type { SendResult } from "../../gen/parlance/chat/v1/message_pb.js";
import { WatchPresenceRequestSchema } from "../../gen/parlance/chat/v1/presence_service_pb.js";
import { type RpcDefinition, toDefinition } from "../../wire/definition.ts";
import { type Services, services } from "../../wire/services.ts";
import { Acks } from "./acks.ts";
import { checked, invalidArgument, requestOf } from "./arguments.ts";
import { type CallExtras, callMiddleware, withReadOptions } from "./calls.ts";
import { isTransient, ParlanceError, Status } from "./errors.ts";
import { EventCallback } from "./event-callback.ts";
import { EventLog } from "./event-log.ts";
import { EventQueue } from "./event-queue.ts";
import type { ClientEvent } from "./events.ts";
import { GrpcStreams } from "./grpc-streams.ts";
import { callHost, hostFailed } from "./host-calls.ts";
import { Line } from "./line.ts";
import { type ClientState, Live } from "./live.ts";
import { Login, timedCredentials } from "./login.ts";
import { fetchMissed } from "./missed.ts";
import { type ConnectOptions, checkOptions } from "./options.ts";
import { Backoff } from "./reconnect.ts";
import { Requests } from "./requests.ts";
import { type ContentInit, type SendInit, Sends } from "./sends.ts";
import { sleep } from "./time.ts";
import { createTransport } from "./transport.ts";

/** The counts of what a client has met with so far. */
export interface ClientStats {
  /** Events that were dropped because the application already had them. */
  repeats: number;
  /** Times events were missing and were read again. */
  gaps: number;
  /** Streams opened after the first. */
  reconnects: number;
}

/** The largest request a server takes by default, and how much of one its ids and options may take at most. */
const maxRequestBytes = 131_072;
const maxBesideContentBytes = 32_768;

type TypedClient<Service extends Parameters<typeof toDefinition>[0]> = Client<
  RpcDefinition<Service>,
  CallExtras
>;

/**
 * Connects a user.
 *
 * @returns a client whose stream is open, if it was to have one
 * @throws ParlanceError when the user may not log in, or when there was no
 *   server within `connectTimeoutMs`
 */
export async function connect(options: ConnectOptions): Promise<ParlanceClient> {
  const client = new ParlanceClient(options);
  try {
    await client.start();
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** The rpcs of every service, as in `client.groups.getGroup({ groupId })`. */
export type ServiceClients = { readonly [Key in keyof Services]: TypedClient<Services[Key]> };

/** Gives the client the fields of `ServiceClients`; its constructor fills them. */
const WithServices = class {} as new () => ServiceClients;

/** A connected user. Made by `connect`. For sends and events it has better ways than the rpcs of `chat`. */
export class ParlanceClient extends WithServices {
  readonly #options: ConnectOptions;
  readonly #line: Line;
  readonly #login: Login;
  readonly #closing = new AbortController();
  readonly #log: EventLog;
  readonly #requests = new Requests(() =>
    Math.max(maxRequestBytes, this.limits.maxContentBytes + maxBesideContentBytes),
  );
  readonly #sends: Sends;
  readonly #acks: Acks;
  readonly #queue: EventQueue;
  readonly #callback: EventCallback | undefined;
  readonly #listeners = new Set<(state: ClientState, error?: ParlanceError) => void>();
  #live: Live | undefined;
  #state: ClientState = "connecting";
  #streams = 0;
  #watched: string[] = [];
  readonly #room: (() => void)[] = [];
  #full = false;
  #closed: Promise<void> | undefined;

  /** @internal Use `connect`. */
  constructor(options: ConnectOptions) {
    super();
    this.#options = options;
    checkOptions(options);
    const { address = [], deadlineMs = 30_000, connectTimeoutMs = 10_000 } = options;
    this.#line = new Line(options.transport ?? createTransport({ ...options, address }));

    const settings = { line: this.#line, deadlineMs, attemptMs: 10_000, closed: this.#closing.signal };
    const loginClient = createClientFactory()
      .use(callMiddleware(settings))
      .create(toDefinition(ChatService), this.#line.channel);
    const loginMs = () => (this.#state === "connecting" ? connectTimeoutMs : deadlineMs);
    this.#login = new Login(timedCredentials(options.credentials, loginMs), options.device ?? {}, (request) =>
      loginClient.login(request, { deadlineMs: loginMs() }),
    );

    const factory = createClientFactory().use(callMiddleware({ ...settings, login: this.#login }));
    const callsOf = <Service extends DescService>(service: Service) =>
      withReadOptions(factory.create(toDefinition(service), this.#line.channel)) as TypedClient<Service>;
    const names = Object.keys(services) as (keyof Services)[];
    Object.assign(this, Object.fromEntries(names.map((name) => [name, callsOf(services[name])])));

    this.#log = new EventLog({ gapless: options.eventKinds === undefined });
    this.#acks = new Acks({ send: (cursor) => this.#requests.tell({ case: "ack", value: { cursor } }) });
    const { onEvent, maxWaitingEvents = 1_000 } = options;
    const hooks = {
      onDone: (event: ClientEvent) => this.#onDone(event),
      onRoom: () => this.#onRoom(),
      onFailed: (cause: unknown) => this.#onHostFailed("onEvent", cause),
    };
    this.#queue = new EventQueue(maxWaitingEvents, hooks);
    this.#callback = onEvent && new EventCallback(onEvent, maxWaitingEvents, hooks);
    this.#sends = new Sends({
      ask: (request, deadline) => this.#requests.ask(request, deadline),
      streaming: () => this.#live !== undefined && !this.#full,
      sendDirect: (request, extras) => this.chat.sendDirect(request, extras),
      sendGroup: (request, extras) => this.chat.sendGroup(request, extras),
      deadlineMs,
      maxContentBytes: () => this.limits.maxContentBytes || Number.POSITIVE_INFINITY,
      closed: this.#closing.signal,
    });
  }

  /** @internal Logs in and opens the stream. */
  async start(): Promise<void> {
    await this.#login.token();
    if (this.#options.stream === false) {
      this.#setState("live");
      return;
    }
    const { eventKinds, replayLimit, onBehind = "fetch" } = this.#options;
    let lastError: ParlanceError | undefined;
    const live = new Live({
      streams: new GrpcStreams(this.#line, this.#requests),
      login: this.#login,
      log: this.#log,
      open: {
        ...(eventKinds === undefined ? {} : { eventKinds: [...eventKinds] }),
        ...(replayLimit === undefined ? {} : { replayLimit }),
      },
      backoff: this.#options.backoff,
      show: (event) => this.#show(event),
      hasRoom: () => !this.#full,
      fetchMissed: onBehind === "fetch" ? (...args) => this.#fetchMissed(...args) : undefined,
      onState: (state, error) => this.#onLive(state, error),
      onWait: (_, error) => {
        lastError = error ?? lastError;
      },
    });
    this.#live = live;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        stopListening();
        reject(
          lastError ?? new ParlanceError(Status.UNAVAILABLE, `no stream from ${this.#line.address} in time`),
        );
      }, this.#options.connectTimeoutMs ?? 10_000);
      const stopListening = this.onState((state, error) => {
        if (state !== "live" && state !== "closed") return;
        clearTimeout(timer);
        stopListening();
        if (state === "live") resolve();
        else reject(error ?? new ParlanceError(Status.CANCELLED, "the client was closed"));
      });
      live.start();
    });
  }

  /** The user's id, as the server knows it. */
  get userId(): string {
    return this.#login.current?.userId ?? "";
  }

  /** The limits of the server. */
  get limits(): Limits {
    return this.#login.current?.limits ?? create(LimitsSchema);
  }

  /** Whether events come. Without a stream a client is `live` until it is closed. */
  get state(): ClientState {
    return this.#state;
  }

  /** The counts of what the client has met with so far. */
  get stats(): ClientStats {
    return { repeats: this.#log.repeats, gaps: this.#log.gaps, reconnects: Math.max(0, this.#streams - 1) };
  }

  /**
   * Calls a listener at each change of `state`; with `closed` comes the error
   * that ended the client, if one did. A listener that throws ends the client.
   *
   * @returns what to call to hear no more
   */
  onState(listener: (state: ClientState, error?: ParlanceError) => void): () => void {
    if (typeof listener !== "function")
      throw invalidArgument({ field: "listener", description: "must be a function" });
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * The events, each once, those of a conversation in the order of seq. There is
   * one iteration: every call returns the same. It ends when the client is
   * closed, and throws when the server says to stay away: `close` then still has
   * to be called.
   */
  events(): AsyncIterableIterator<ClientEvent, undefined> {
    if (this.#options.onEvent) throw new TypeError("the events of this client go to onEvent");
    return this.#queue;
  }

  /** Acknowledges everything up to a cursor; for `ack: "manual"`. It leaves within 200 ms. */
  ack(cursor: Cursor): void {
    this.#acks.add(requestOf(CursorSchema, cursor));
  }

  /** Sends a message to a user; see `Sends.send`. */
  sendDirect(recipientId: string, content: ContentInit, options?: SendInit): Promise<SendResult> {
    return this.#sends.send({ recipientId }, content, options);
  }

  /** Sends a message to a group; see `Sends.send`. */
  sendGroup(groupId: string, content: ContentInit, options?: SendInit): Promise<SendResult> {
    return this.#sends.send({ groupId }, content, options);
  }

  /** Tells others that the user types, or no longer does. Nothing happens while there is no stream. */
  setTyping(target: { recipientId: string } | { groupId: string }, typing: boolean): void {
    const where = checked("target", () => {
      return "groupId" in target
        ? { case: "groupId" as const, value: target.groupId }
        : { case: "recipientId" as const, value: target.recipientId };
    });
    const value = requestOf(SetTypingRequestSchema, { target: where, typing });
    this.#requests.tell({ case: "setTyping", value });
  }

  /**
   * Has `presence` events come for these users, in place of those before; also
   * on later streams of this client.
   *
   * @throws ParlanceError when the server refuses
   */
  async watchPresence(userIds: readonly string[]): Promise<void> {
    const value = requestOf(WatchPresenceRequestSchema, { userIds: checked("user_ids", () => [...userIds]) });
    this.#watched = value.userIds;
    await this.#watch(value.userIds);
  }

  /** Marks a conversation as read up to a seq and returns it as it is then. */
  async markRead(conversationId: string, upToSeq: bigint): Promise<Conversation> {
    const { conversation } = await this.conversations.markRead({ conversationId, upToSeq });
    if (conversation === undefined)
      throw new ParlanceError(Status.INTERNAL, "the server answered without a conversation");
    return conversation;
  }

  /**
   * Acknowledges what the application took, ends the stream and closes the
   * connection. Calls under way fail. Never rejects.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** As `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const last = this.#queue.lastTaken ?? this.#callback?.current;
    if (last !== undefined) this.#onDone(last);
    this.#queue.end();
    this.#callback?.end();
    await this.#ackLast();
    this.#closing.abort();
    this.#requests.fail(new ParlanceError(Status.CANCELLED, "the client was closed"));
    await this.#live?.close();
    this.#line.close();
    this.#setState("closed");
  }

  /** Sees to it that the last acknowledgement arrives, if the server is there. */
  async #ackLast(): Promise<void> {
    const cursor = this.#acks.takeLatest();
    if (cursor === undefined || this.#requests.session === undefined) return;
    await this.#requests.ask({ case: "ack", value: { cursor } }, performance.now() + 2_000).catch(() => {
      // What was not acknowledged comes again.
    });
  }

  #onLive(state: ClientState, error?: ParlanceError): void {
    if (state === "live") {
      if (++this.#streams > 1 && this.#watched.length > 0) {
        // What is refused for good was refused before.
        this.#watch(this.#watched).catch(() => {});
      }
      this.#acks.flush();
    }
    if (state === "closed") {
      this.#queue.end(error);
      this.#callback?.end();
      // Nobody else would hear of it.
      if (error !== undefined && this.#callback !== undefined && this.#listeners.size === 0)
        process.emitWarning(error);
      if (error !== undefined) this.#requests.fail(error);
    }
    this.#setState(state, error);
  }

  /** Asks for presence until it is answered, unless other users are to be watched by then. */
  async #watch(userIds: string[]): Promise<void> {
    const deadline = performance.now() + (this.#options.deadlineMs ?? 30_000);
    const backoff = new Backoff();
    while (userIds === this.#watched) {
      try {
        await this.#requests.ask({ case: "watchPresence", value: { userIds } }, deadline);
        return;
      } catch (error) {
        if (!(error instanceof ParlanceError) || !isTransient(error) || this.#closing.signal.aborted)
          throw error;
        const waitMs = backoff.next(error.retryAfterMs);
        if (performance.now() + waitMs >= deadline) throw error;
        await sleep(waitMs, this.#closing.signal);
      }
    }
  }

  #setState(state: ClientState, error?: ParlanceError): void {
    if (state === this.#state || this.#state === "closed") return;
    // Until the first stream is open, all tries are one.
    if (this.#state === "connecting" && state === "reconnecting") return;
    this.#state = state;
    for (const listener of [...this.#listeners]) {
      callHost(
        () => listener(state, error),
        (cause) => this.#onHostFailed("a listener of onState", cause),
      );
    }
  }

  /** Ends the client: an application that failed to take in what happened is told so, rather than left behind. */
  #onHostFailed(name: string, cause: unknown): void {
    const error = hostFailed(name, cause);
    const live = this.#live;
    if (live === undefined || this.#state === "closed") process.emitWarning(error);
    // What was taken before shall not come again.
    else void this.#ackLast().then(() => live.stop(error));
  }

  #show(event: ClientEvent): void {
    if (this.#closed !== undefined) return;
    if (event.case === "reset") this.#acks.takeLatest();
    if (!(this.#callback ?? this.#queue).push(event)) this.#full = true;
  }

  #onDone(event: ClientEvent): void {
    if (event.cursor !== undefined && this.#options.ack !== "manual") this.#acks.add(event.cursor);
  }

  #onRoom(): void {
    this.#full = false;
    for (const resolve of this.#room.splice(0)) resolve();
    this.#live?.makeRoom();
  }

  async #fetchMissed(behind: Behind, opened: Opened, signal: AbortSignal): Promise<void> {
    await fetchMissed(
      behind,
      this.#log,
      (request) => this.messages.listMessages(request, { signal }),
      // A new device starts with what is unread, which others of the user may have read further than it is told.
      opened.resumed
        ? undefined
        : async (conversationId) => (await this.markRead(conversationId, 0n)).readSeq,
      (message) => {
        signal.throwIfAborted();
        const { conversationId, seq } = message;
        this.#show({ case: "message", value: message, cursor: undefined, place: { conversationId, seq } });
        return this.#full ? new Promise((resolve) => this.#room.push(resolve)) : undefined;
      },
    );
    const { cursor, more } = behind;
    if (more) return;
    this.#show({ case: "caughtUp", value: create(CaughtUpSchema, cursor ? { cursor } : {}), cursor });
  }
}
