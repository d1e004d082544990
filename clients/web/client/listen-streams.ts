import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { ChatService } from "../../../gen/parlance/chat/v1/chat_service_pb.js";
import type { Closed, OpenSchema, ServerEvent } from "../../../gen/parlance/chat/v1/event_pb.js";
import { type ParlanceError, Status } from "../../typescript/errors.ts";
import type { EventStream, StreamHandler, Streams } from "../../typescript/streams.ts";
import { toParlanceError } from "./errors.ts";

/** Opens streams of events with `Listen`, as browsers can only receive. Requests go as unary calls. */
export class ListenStreams implements Streams {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  open(token: string, open: MessageInitShape<typeof OpenSchema>, handler: StreamHandler): EventStream {
    return new ListenStream(this.#transport, token, open, handler);
  }

  startRequests(): void {}
  abandonRequests(): void {}
  endRequests(): void {}
  /** The browser keeps the connections. */
  renew(): void {}
}

class ListenStream implements EventStream {
  readonly #abort = new AbortController();
  readonly #handler: StreamHandler;
  #openedAt: number | undefined;
  #closed: Closed | undefined;
  #ended = false;

  constructor(
    transport: Transport,
    token: string,
    open: MessageInitShape<typeof OpenSchema>,
    handler: StreamHandler,
  ) {
    this.#handler = handler;
    // Later, as `Live` knows the stream only once it is constructed.
    queueMicrotask(() => {
      this.#read(transport, token, open).then(
        () => this.#end(undefined),
        (error: unknown) => this.#end(toParlanceError(error)),
      );
    });
  }

  get usable(): boolean {
    return this.#openedAt !== undefined && !this.#ended;
  }

  // A page takes events as they come.
  pause(): void {}
  resume(): void {}

  halfClose(): void {
    this.#end(undefined);
  }

  fail(error: ParlanceError): void {
    this.#end(error);
  }

  async #read(transport: Transport, token: string, open: MessageInitShape<typeof OpenSchema>): Promise<void> {
    const header = { authorization: `Bearer ${token}` };
    const { message } = await transport.stream(
      ChatService.method.listen,
      this.#abort.signal,
      undefined,
      header,
      one({ open }),
    );
    for await (const { events } of message) {
      for (const event of events) {
        if (this.#ended) return;
        this.#take(event);
      }
    }
  }

  #take(event: ServerEvent): void {
    switch (event.event.case) {
      case "opened":
        this.#openedAt = performance.now();
        this.#handler.onOpened(event.event.value);
        return;
      case "closed":
        this.#closed = event.event.value;
        return;
      default:
        this.#handler.onEvent(event);
    }
  }

  #end(error: ParlanceError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#abort.abort();
    this.#handler.onEnd({
      closed: this.#closed,
      error: error?.code === Status.OK ? undefined : error,
      openMs: this.#openedAt === undefined ? undefined : performance.now() - this.#openedAt,
    });
  }
}

async function* one<T>(value: T): AsyncGenerator<T> {
  yield value;
}
