import type { Line } from "./line.ts";
import type { Requests } from "./requests.ts";
import { Session } from "./session.ts";
import type { EventStream, StreamHandler, Streams } from "./streams.ts";
import type { Connection } from "./transport.ts";

/** Opens streams as gRPC calls of `Stream`, which carry the client's requests as well. */
export class GrpcStreams implements Streams {
  readonly #line: Line;
  readonly #requests: Requests;
  #connection: Connection | undefined;
  #session: Session | undefined;

  constructor(line: Line, requests: Requests) {
    this.#line = line;
    this.#requests = requests;
  }

  open(token: string, open: Parameters<Streams["open"]>[1], handler: StreamHandler): EventStream {
    this.#connection = this.#line.connection;
    this.#session = new Session({
      connection: this.#connection,
      token,
      open,
      handler: {
        onOpened: (opened) => handler.onOpened(opened),
        onEvent: (event) => handler.onEvent(event),
        onReply: (event) => this.#requests.answer(event),
        onEnd: (end) => handler.onEnd(end),
      },
    });
    return this.#session;
  }

  startRequests(): void {
    if (this.#session !== undefined) this.#requests.startStream(this.#session);
  }

  abandonRequests(): void {
    this.#requests.abandon();
  }

  endRequests(): void {
    this.#session = undefined;
    this.#requests.endStream();
  }

  get hasOthers(): boolean {
    return this.#line.hasOthers;
  }

  renew(): void {
    if (this.#connection !== undefined) this.#line.renew(this.#connection);
  }
}
