import { create, toBinary } from "@bufbuild/protobuf";
import { StreamRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { callHeaders, paths } from "./calls.ts";
import { EventCounts } from "./events.ts";
import type { Failure } from "./failure.ts";
import { type Http2Connection, type Http2Stream, messageFrame } from "./http2-connection.ts";
import { MessageReader, type OnMessage } from "./message-reader.ts";

/** How to open a session. */
export interface SessionOptions {
  /** The user's token; floors ask for none. */
  token: string | undefined;
  failure: Failure;
  /** Where to count what is received; sessions may share one. Default: its own. */
  counts?: EventCounts;
  /** The path to call, when it is not that of `Stream`. */
  path?: string;
  /** How to open: an encoded request. Default: `open` with defaults. */
  openRequest?: Uint8Array;
}

const openRequest = toBinary(
  StreamRequestSchema,
  create(StreamRequestSchema, { requestId: "open", request: { case: "open", value: {} } }),
);

/** A `Stream` call that counts what it receives. */
export class Session {
  readonly counts: EventCounts;
  /** Called after each message that was received and counted, with where it lies. */
  onReceived: OnMessage | undefined;
  readonly #connection: Http2Connection;
  readonly #stream: Http2Stream;
  readonly #failure: Failure;
  readonly #opened: Promise<void>;
  readonly #caughtUp: Promise<void>;

  private constructor(connection: Http2Connection, options: SessionOptions) {
    const { token, failure, counts = new EventCounts(), path = paths.stream } = options;
    this.counts = counts;
    this.#failure = failure;
    const opened = Promise.withResolvers<void>();
    const caughtUp = Promise.withResolvers<void>();
    this.#opened = opened.promise;
    this.#caughtUp = caughtUp.promise;
    let live = false;
    const reader = new MessageReader((buffer, start, end) => {
      const before = counts.caughtUp;
      try {
        counts.add(buffer, start, end);
      } catch (error) {
        failure.raise((error as Error).message);
        return;
      }
      if (!live) {
        opened.resolve();
        live = counts.caughtUp > before;
        if (live) caughtUp.resolve();
      }
      this.onReceived?.(buffer, start, end);
    });
    this.#connection = connection;
    this.#stream = connection.open(callHeaders(path, token), {
      onData: (buffer, start, end) => reader.read(buffer, start, end),
      onEnd: (reason) => failure.raise(`a session ended: ${reason ?? "the server closed it"}`),
    });
    this.send(messageFrame(options.openRequest ?? openRequest));
  }

  /** Opens a session on a connection, which may have others, and waits for the first event. */
  static async start(connection: Http2Connection, options: SessionOptions): Promise<Session> {
    const session = new Session(connection, options);
    await options.failure.during(session.#opened);
    return session;
  }

  /** Opens a session and waits until it is live. */
  static async open(connection: Http2Connection, options: SessionOptions): Promise<Session> {
    const session = await Session.start(connection, options);
    await session.caughtUp();
    return session;
  }

  /** Resolves once all that was missed is delivered. */
  caughtUp(): Promise<void> {
    return this.#failure.during(this.#caughtUp);
  }

  /** Sends a frame made by `messageFrame`. It must not be changed afterwards. */
  send(frame: Buffer): void {
    this.#connection.send(this.#stream, frame);
  }

  /** Ends its connection at once. */
  close(): void {
    this.#connection.close();
  }
}
