import type { NatsConnection } from "@nats-io/transport-node";

/**
 * How many bytes may be on their way to the server. More is dropped: the client
 * library keeps whatever a slow or stopped server does not take, without bound.
 */
const maxPendingBytes = 16_777_216;
/** How many bytes may go out before the server is asked to confirm them. */
const confirmEveryBytes = 262_144;
/** Roughly the bytes a message costs beyond its data: command, subject, objects in memory. */
const overheadBytes = 128;

/** Publishes on a connection, and knows how much of it the server has not taken yet. */
export interface WriteWindow {
  /** Whether so much is on its way that the next message is to be dropped. */
  readonly full: boolean;
  /**
   * Publishes.
   *
   * @throws when the message is larger than the server takes, or the connection has ended
   */
  publish(subject: string, data: Uint8Array, reply?: string): void;
}

/** Makes the window of a connection. The server confirms by answering a ping, which it does in order. */
export function createWriteWindow(nats: Pick<NatsConnection, "publish" | "flush">): WriteWindow {
  let sentBytes = 0;
  let confirmedBytes = 0;
  let asking = false;

  function confirm(): void {
    asking = true;
    const askedBytes = sentBytes;
    nats.flush().then(
      () => {
        confirmedBytes = askedBytes;
        asking = false;
      },
      // The connection has ended, and this window with it.
      () => {},
    );
  }

  return {
    get full() {
      return sentBytes - confirmedBytes > maxPendingBytes;
    },
    publish(subject, data, reply) {
      nats.publish(subject, data, reply === undefined ? undefined : { reply });
      sentBytes += data.length + overheadBytes;
      if (!asking && sentBytes - confirmedBytes > confirmEveryBytes) confirm();
    },
  };
}
