import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ClientError, type Metadata, Status } from "nice-grpc";
import type { StreamRequestSchema } from "../../../gen/parlance/chat/v1/chat_service_pb.js";
import { CloseReason, type ServerEvent } from "../../../gen/parlance/chat/v1/event_pb.js";
import { JoinPolicy } from "../../../gen/parlance/chat/v1/group_pb.js";
import type { SendResult } from "../../../gen/parlance/chat/v1/message_pb.js";
import { readErrorDetails, statusDetailsKey } from "../../../wire/error-details.ts";
import { type Connection, connect } from "../../support/connect.ts";
import { failureIn } from "../../support/errors.ts";
import { text } from "../../support/server.ts";
import { History, type Operation, type SeenError } from "../history.ts";
import { type ChatClient, isOpen } from "./chat-client.ts";
import { seenEvent } from "./seen-event.ts";

/** How a raw client behaves. */
export interface RawClientOptions {
  /** A server, or several nodes of one service: whoever loses one goes on with the next. */
  address: string | readonly string[];
  userId: string;
  deviceId?: string;
  random: () => number;
  /** Users whose presence it watches. */
  watch?: readonly string[];
}

type StreamRequestInit = MessageInitShape<typeof StreamRequestSchema>;

/** A stream that is open, or about to be. */
interface OpenStream {
  number: number;
  requests: AsyncIterable<StreamRequestInit>;
  send: (request: StreamRequestInit) => void;
  /** Says that no more requests come. */
  end: () => void;
  abort: AbortController;
  /** Operations sent over it that have no answer yet, by request id. */
  waiting: Map<string, (answer: SendResult | SeenError | undefined) => void>;
}

const callTimeoutMs = 8_000;
/** Notices a dead connection in about 3 s. */
const channelOptions = { "grpc.keepalive_time_ms": 1_500, "grpc.keepalive_timeout_ms": 1_500 };

/**
 * A client made of generated code alone, as another language would have it: it
 * resumes each stream after the last event it received, acknowledges now and
 * then, and sends half of its messages over the stream, half as unary calls.
 */
export class RawClient implements ChatClient {
  readonly history: History;
  readonly userId: string;
  reconnects = 0;
  readonly #options: RawClientOptions;
  readonly #bodies = new Set<string>();
  #connection: Connection | undefined;
  #stream: OpenStream | undefined;
  #streams = 0;
  #live = false;
  #cursor: { epoch: string; position: bigint } | undefined;
  #operations = 0;
  #closed = false;
  #ran: Promise<void> | undefined;
  #loggingIn: Promise<void> | undefined;
  #token: string | undefined;
  /** Which of the addresses it is connected to. */
  #at: number;

  constructor(options: RawClientOptions) {
    this.#options = options;
    this.userId = options.userId;
    this.history = new History("raw", options.userId, options.deviceId ?? "default");
    const servers = addressesOf(options).length;
    this.#at = servers === 1 ? 0 : Math.floor(options.random() * servers);
  }

  /** The server it is connected to, or tries. */
  get address(): string {
    const addresses = addressesOf(this.#options);
    return addresses[this.#at % addresses.length] as string;
  }

  get live(): boolean {
    return this.#live;
  }

  has(body: string): boolean {
    return this.#bodies.has(body);
  }

  async start(): Promise<void> {
    this.#connection = connect(this.address, undefined, channelOptions);
    await this.#logIn();
    this.#ran = this.#run();
    while (!this.#live) await delay(10);
  }

  async perform(operation: Operation): Promise<boolean> {
    const op = ++this.#operations;
    this.history.add({ type: "invoke", op, operation });
    while (!this.#closed) {
      const answer = await this.#tryOnce(operation, op);
      if (!isError(answer)) {
        this.history.add({ type: "ok", op, ...resultOf(answer) });
        return true;
      }
      if (answer.code === "UNAUTHENTICATED") {
        // Logged in again; the try had no effect.
        this.history.add({ type: "error", call: operation.f, error: answer });
        continue;
      }
      if (!isOpen(answer)) {
        this.history.add({ type: "fail", op, error: answer });
        return false;
      }
      this.history.add({ type: "unknown", op, error: answer });
      await delay(20 + this.#options.random() * 180);
    }
    return false;
  }

  /** Ends the stream without a word, as a process that dies, and opens another. */
  breakStream(): void {
    this.#stream?.abort.abort();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stream?.abort.abort();
    await this.#ran;
    this.#connection?.close();
  }

  /** Logs in, once for all calls that need it at the same time. */
  #logIn(): Promise<void> {
    this.#loggingIn ??= this.#logInAgain().finally(() => {
      this.#loggingIn = undefined;
    });
    return this.#loggingIn;
  }

  async #logInAgain(): Promise<void> {
    const { userId, deviceId = "default" } = this.#options;
    while (!this.#closed) {
      const connection = this.#connection as Connection;
      try {
        const credential = { case: "devUserId" as const, value: userId };
        const { sessionToken } = await connection.chat.login(
          { credential, device: { deviceId } },
          { signal: AbortSignal.timeout(callTimeoutMs) },
        );
        connection.close();
        this.#token = sessionToken;
        this.#connection = connect(this.address, sessionToken, channelOptions);
        return;
      } catch (error) {
        this.history.add({ type: "error", call: "login", error: describe(error, undefined) });
        this.#move();
        await delay(50 + this.#options.random() * 200);
      }
    }
  }

  /** Goes on with the next server, if there are several. */
  #move(): void {
    if (addressesOf(this.#options).length === 1) return;
    this.#at++;
    this.#connection?.close();
    this.#connection = connect(this.address, this.#token, channelOptions);
  }

  /** Keeps a stream open. */
  async #run(): Promise<void> {
    while (!this.#closed) {
      const error = await this.#liveOnce();
      if (this.#closed) return;
      if (error?.code === "UNAUTHENTICATED") await this.#logIn();
      if (error?.reason === "CURSOR_OF_ANOTHER_EPOCH" || error?.reason === "CURSOR_IN_FUTURE")
        this.#cursor = undefined;
      // Full jitter over half a second: many clients lose the same server.
      await delay(this.#options.random() * 500);
      if (error?.code !== "UNAUTHENTICATED") this.#move();
      this.reconnects++;
    }
  }

  /** Lives one stream to its end. */
  async #liveOnce(): Promise<SeenError | undefined> {
    const number = ++this.#streams;
    const stream = this.#openStream(number);
    this.#stream = stream;
    const seen: { trailer?: Metadata; closed?: string; refused?: SeenError } = {};
    let error: SeenError | undefined;
    try {
      const responses = (this.#connection as Connection).chat.stream(stream.requests, {
        signal: stream.abort.signal,
        onTrailer: (trailer) => {
          seen.trailer = trailer;
        },
      });
      for await (const { events } of responses) {
        for (const event of events) this.#receive(stream, event, seen);
      }
      error = seen.refused;
    } catch (cause) {
      error = describe(cause, seen.trailer);
    }
    this.#live = false;
    this.#stream = undefined;
    stream.end();
    for (const resolve of stream.waiting.values()) resolve(undefined);
    const byClient = stream.abort.signal.aborted;
    this.history.add({
      type: "end",
      stream: number,
      ...(seen.closed && { closed: seen.closed }),
      ...(error && !byClient && { error }),
    });
    return byClient ? undefined : error;
  }

  #openStream(number: number): OpenStream {
    const queue: StreamRequestInit[] = [];
    let wake: (() => void) | undefined;
    let over = false;
    async function* requests(): AsyncGenerator<StreamRequestInit> {
      for (;;) {
        const request = queue.shift();
        if (request !== undefined) yield request;
        else if (over) return;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    }
    const send = (request: StreamRequestInit) => {
      queue.push(request);
      wake?.();
    };
    const cursor = this.#cursor;
    send({
      requestId: "open",
      request: { case: "open", value: { replayLimit: 10_000, ...(cursor && { resumeFrom: cursor }) } },
    });
    return {
      number,
      send,
      requests: requests(),
      abort: new AbortController(),
      waiting: new Map(),
      end: () => {
        over = true;
        wake?.();
      },
    };
  }

  #receive(stream: OpenStream, event: ServerEvent, seen: { closed?: string; refused?: SeenError }): void {
    const { history } = this;
    const log = seenEvent(event);
    if (log !== undefined) {
      this.#cursor = event.cursor;
      history.add({ type: "event", stream: stream.number, event: log });
      if (log.body !== undefined) this.#bodies.add(log.body);
      if (this.#options.random() < 0.02 && event.cursor !== undefined)
        stream.send({ request: { case: "ack", value: { cursor: event.cursor } } });
      return;
    }
    const { case: kind, value } = event.event;
    switch (kind) {
      case "opened": {
        const { epoch = "", position = 0n } = value.cursor ?? {};
        this.#cursor = value.cursor;
        this.#live = true;
        history.add({
          type: "opened",
          stream: stream.number,
          epoch,
          position: Number(position),
          resumed: value.resumed,
        });
        const { watch } = this.#options;
        if (watch !== undefined)
          stream.send({ request: { case: "watchPresence", value: { userIds: [...watch] } } });
        return;
      }
      case "behind":
        this.#cursor = value.cursor;
        history.add({
          type: "behind",
          stream: stream.number,
          position: Number(value.cursor?.position),
        });
        return;
      case "caughtUp":
        history.add({
          type: "caught-up",
          stream: stream.number,
          position: Number(value.cursor?.position),
        });
        return;
      case "presence":
        history.add({
          type: "presence",
          stream: stream.number,
          userId: value.userId,
          online: value.online,
        });
        return;
      case "sent":
        stream.waiting.get(event.requestId)?.(value);
        return;
      case "refusal": {
        const error = seenErrorOf(failureIn(value));
        const waiting = stream.waiting.get(event.requestId);
        if (waiting !== undefined) waiting(error);
        else if (event.requestId === "open") {
          // Not opened: this stream is of no use.
          seen.refused = error;
          history.add({ type: "error", call: "open", error });
          stream.end();
        } else history.add({ type: "error", call: "stream", error });
        return;
      }
      case "closed":
        seen.closed = CloseReason[value.reason] ?? String(value.reason);
    }
  }

  async #tryOnce(operation: Operation, op: number): Promise<SendResult | SeenError | undefined> {
    if (operation.f === "send") {
      const stream = this.#stream;
      // Chosen by number, so that both ways are used whatever fails.
      if (this.#live && stream !== undefined && op % 2 === 0) return this.#sendOverStream(stream, operation);
    }
    let trailer: Metadata | undefined;
    const options = {
      signal: AbortSignal.timeout(callTimeoutMs),
      onTrailer: (metadata: Metadata) => {
        trailer = metadata;
      },
    };
    const { chat, groups } = this.#connection as Connection;
    try {
      switch (operation.f) {
        case "send": {
          const message = { content: text(operation.body), clientMessageId: operation.clientMessageId };
          const { result } =
            "groupId" in operation.to
              ? await chat.sendGroup({ ...operation.to, ...message }, options)
              : await chat.sendDirect({ ...operation.to, ...message }, options);
          return result;
        }
        case "create-group":
          await groups.createGroup(
            { groupId: operation.groupId, memberIds: operation.memberIds, joinPolicy: JoinPolicy.OPEN },
            options,
          );
          return undefined;
        case "join":
          await groups.joinGroup({ groupId: operation.groupId }, options);
          return undefined;
        case "leave":
          await groups.leaveGroup({ groupId: operation.groupId }, options);
          return undefined;
        case "add":
          await groups.addMembers({ groupId: operation.groupId, userIds: operation.userIds }, options);
          return undefined;
        case "remove":
          await groups.removeMembers({ groupId: operation.groupId, userIds: operation.userIds }, options);
          return undefined;
      }
    } catch (error) {
      const seen = describe(error, trailer);
      if (seen.code === "UNAUTHENTICATED") await this.#logIn();
      return seen;
    }
  }

  #sendOverStream(
    stream: OpenStream,
    { to, body, clientMessageId }: Operation & { f: "send" },
  ): Promise<SendResult | SeenError | undefined> {
    const requestId = `${this.#operations}.${stream.waiting.size}.${clientMessageId}`.slice(0, 64);
    const message = { content: text(body), clientMessageId };
    return new Promise((resolve) => {
      const late = setTimeout(() => settle(undefined), callTimeoutMs);
      function settle(answer: SendResult | SeenError | undefined): void {
        clearTimeout(late);
        stream.waiting.delete(requestId);
        resolve(answer ?? { code: "UNAVAILABLE", reason: "", message: "the stream ended without an answer" });
      }
      stream.waiting.set(requestId, settle);
      stream.send({
        requestId,
        request:
          "groupId" in to
            ? { case: "sendGroup", value: { ...to, ...message } }
            : { case: "sendDirect", value: { ...to, ...message } },
      });
    });
  }
}

function addressesOf({ address }: Pick<RawClientOptions, "address">): readonly string[] {
  return typeof address === "string" ? [address] : address;
}

/** What a caller learns from an error. */
export function describe(error: unknown, trailer: Metadata | undefined): SeenError {
  if (error instanceof ClientError) {
    const details = readErrorDetails(trailer?.get(statusDetailsKey) as Uint8Array | undefined);
    return seenErrorOf({ code: Status[error.code] as string, message: error.details, ...details });
  }
  if (error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError"))
    return { code: "CANCELLED", reason: "", message: "given up by the client" };
  throw error;
}

function seenErrorOf(failure: { code: string; message: string; reasonName?: string | undefined }): SeenError {
  return { code: failure.code, reason: failure.reasonName ?? "", message: failure.message };
}

function isError(answer: SendResult | SeenError | undefined): answer is SeenError {
  return answer !== undefined && "code" in answer;
}

function resultOf(result: SendResult | undefined) {
  if (result === undefined) return {};
  const { conversationId, seq, position, messageId, duplicate } = result;
  return { conversationId, seq: Number(seq), position: Number(position), messageId, duplicate };
}
