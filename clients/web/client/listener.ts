import type { Transport } from "@connectrpc/connect";
import { ChatService } from "../../../gen/parlance/chat/v1/chat_service_pb.js";
import { Acks } from "../../typescript/acks.ts";
import { ParlanceError, Status } from "../../typescript/errors.ts";
import { EventLog } from "../../typescript/event-log.ts";
import type { ClientEvent } from "../../typescript/events.ts";
import { type ClientState, Live } from "../../typescript/live.ts";
import type { Login } from "../../typescript/login.ts";
import type { Calls } from "./calls.ts";
import { ListenStreams } from "./listen-streams.ts";

/** What a `Listener` needs and tells. */
export interface ListenerOptions {
  transport: Transport;
  login: Login;
  calls: Calls;
  onEvent: (event: ClientEvent) => void;
  onState: (state: ClientState, error?: ParlanceError) => void;
  /** There is no stream; the next is opened after this time. */
  onWait: (waitMs: number) => void;
}

/** More than this is read from the history when somebody looks, rather than replayed. */
const replayLimit = 300;

/**
 * Keeps the page's stream of events open. Resuming, dropping what comes twice,
 * keeping the order and reconnecting are the code of the TypeScript SDK.
 */
export class Listener {
  readonly #live: Live;
  readonly #acks: Acks;
  readonly #options: ListenerOptions;
  #state: ClientState = "connecting";

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#acks = new Acks({
      maxWaitMs: 500,
      send: (cursor) => {
        if (this.#state !== "live") return false;
        // What was not acknowledged comes again, and is dropped then.
        options.calls.once(ChatService.method.ack, { cursor }).catch(() => {});
        return true;
      },
    });
    this.#live = new Live({
      streams: new ListenStreams(options.transport),
      login: options.login,
      log: new EventLog(),
      open: { replayLimit },
      backoff: { baseMs: 500, capMs: 15_000 },
      show: options.onEvent,
      hasRoom: () => true,
      fetchMissed: undefined,
      onState: (state, error) => this.#onState(state, error),
      onWait: options.onWait,
    });
  }

  /** Opens the stream. */
  start(): void {
    this.#live.start();
  }

  /** Acknowledges an event that the page has taken, and all before it. */
  ack(cursor: ClientEvent["cursor"]): void {
    if (cursor !== undefined) this.#acks.add(cursor);
  }

  /** Tries at once to open a stream, if there is none. */
  retryNow(): void {
    this.#live.retryNow();
  }

  /** Gives the stream up when something else has shown that the server is not there. */
  suspect(): void {
    this.#live.fail(new ParlanceError(Status.UNAVAILABLE, "the server cannot be reached"));
  }

  /** Ends the stream for good. */
  async close(): Promise<void> {
    this.#acks.flush();
    await this.#live.close();
  }

  #onState(state: ClientState, error?: ParlanceError): void {
    this.#state = state;
    if (state === "live") this.#acks.flush();
    this.#options.onState(state, error);
  }
}
