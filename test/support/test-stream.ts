import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  StreamRequest,
  StreamRequestSchema,
  StreamResponse,
} from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";

type EventCase = NonNullable<ServerEvent["event"]["case"]>;
type EventOf<Case extends EventCase> = Extract<ServerEvent["event"], { case: Case }>["value"];

/** One `Stream` call: what was received so far, and ways to wait for more. */
export class TestStream {
  /** Every event received, in order. */
  readonly events: ServerEvent[] = [];
  /** Resolves when the stream ends: with undefined, or with the error it ended with. */
  readonly ended: Promise<unknown>;
  readonly #abort = new AbortController();
  readonly #requests: MessageInitShape<typeof StreamRequestSchema>[] = [];
  readonly #waiters = new Set<() => void>();
  #wakeSender: (() => void) | undefined;
  #halfClosed = false;
  #over = false;

  constructor(
    call: (
      requests: AsyncIterable<MessageInitShape<typeof StreamRequestSchema>>,
      signal: AbortSignal,
    ) => AsyncIterable<Pick<StreamResponse, "events">>,
  ) {
    this.ended = this.#read(call(this.#outgoing(), this.#abort.signal));
  }

  /** Sends a request. */
  send(
    request: StreamRequest["request"] | MessageInitShape<typeof StreamRequestSchema>["request"],
    requestId = "",
  ) {
    this.#requests.push({ requestId, request: request as NonNullable<typeof request> });
    this.#wakeSender?.();
    return this;
  }

  /** Sends `open` with these options and waits for the answer. */
  async open(open: object = {}): Promise<EventOf<"opened">> {
    this.send({ case: "open", value: open });
    return this.next("opened");
  }

  /** Says that no more requests come. */
  halfClose(): void {
    this.#halfClosed = true;
    this.#wakeSender?.();
  }

  /** Cancels the call, as a broken connection would. */
  cancel(): void {
    this.#abort.abort();
  }

  /** Waits for the first event of a kind, among those received and those to come, that fits. */
  async next<Case extends EventCase>(
    kind: Case,
    fits: (value: EventOf<Case>, event: ServerEvent) => boolean = () => true,
  ): Promise<EventOf<Case>> {
    const found = () =>
      this.events.find(
        ({ event }, i) =>
          event.case === kind && fits(event.value as EventOf<Case>, this.events[i] as ServerEvent),
      );
    await this.until(() => found() !== undefined, `an event ${kind}`);
    return found()?.event.value as EventOf<Case>;
  }

  /** The values of all events of a kind received so far. */
  all<Case extends EventCase>(kind: Case): EventOf<Case>[] {
    return this.events.flatMap(({ event }) => (event.case === kind ? [event.value as EventOf<Case>] : []));
  }

  /** The texts of all messages received so far. */
  texts(): string[] {
    return this.all("message").map(({ content }) =>
      content?.kind.case === "text" ? content.kind.value.body : "",
    );
  }

  /** Waits until something is true of what was received; fails after two minutes, or when the stream ends before. */
  async until(condition: () => boolean, what = "the condition"): Promise<void> {
    const deadline = Date.now() + 120_000;
    while (!condition()) {
      if (this.#over) throw new Error(`the stream ended before ${what}: ${await this.ended}`);
      if (Date.now() > deadline)
        throw new Error(
          `no ${what} within two minutes; received ${this.events.map(({ event }) => event.case)}`,
        );
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          this.#waiters.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, 100);
        this.#waiters.add(wake);
      });
    }
  }

  async #read(responses: AsyncIterable<Pick<StreamResponse, "events">>): Promise<unknown> {
    try {
      for await (const { events } of responses) {
        this.events.push(...events);
        for (const wake of [...this.#waiters]) wake();
      }
      return undefined;
    } catch (error) {
      return error;
    } finally {
      this.#over = true;
      for (const wake of [...this.#waiters]) wake();
    }
  }

  async *#outgoing() {
    while (!this.#over) {
      const request = this.#requests.shift();
      if (request !== undefined) yield request;
      else if (this.#halfClosed) return;
      else
        await new Promise<void>((resolve) => {
          this.#wakeSender = resolve;
        });
    }
  }
}
