import type { Channel } from "nice-grpc";
import type { Connection, Transport } from "./transport.ts";

/**
 * One client's way to the server: a connection that can be exchanged for a
 * fresh one while the gRPC clients made on `channel` stay as they are.
 */
export class Line {
  readonly #transport: Transport;
  #connection: Connection;
  #closed = false;

  constructor(transport: Transport) {
    this.#transport = transport;
    this.#connection = transport.acquire();
  }

  /** Where the line leads now. */
  get address(): string {
    return this.#connection.address;
  }

  /** Whether there are other servers to go to. */
  get hasOthers(): boolean {
    return this.#transport.servers > 1;
  }

  /** The connection in use now. */
  get connection(): Connection {
    return this.#connection;
  }

  /** A channel that sends each call over the connection of the moment. */
  readonly channel: Channel = {
    createCall: (...args) => this.#connection.channel.createCall(...args),
    getTarget: () => this.#connection.channel.getTarget(),
    getConnectivityState: (connect) => this.#connection.channel.getConnectivityState(connect),
    watchConnectivityState: (...args) => this.#connection.channel.watchConnectivityState(...args),
    getChannelzRef: () => this.#connection.channel.getChannelzRef(),
    close: () => {
      // The line closes its connections itself.
    },
  } satisfies ChannelSurface as unknown as Channel;

  /** Takes a fresh connection, to the next server if there are several, in place of one that failed or is to be left. Does nothing when that has happened already. */
  renew(failed: Connection): void {
    failed.retire();
    if (this.#closed || this.#connection !== failed) return;
    this.#connection = this.#transport.acquire(failed);
    failed.release();
  }

  /** Lets go of the connection. Calls under way end as they would. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.release();
  }
}

type ChannelSurface = Pick<
  Channel,
  "createCall" | "getTarget" | "getConnectivityState" | "watchConnectivityState" | "getChannelzRef" | "close"
>;
