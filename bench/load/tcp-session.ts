import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { EventCounts } from "./events.ts";
import { MessageReader, type OnMessage } from "./message-reader.ts";

/** A connection to the floor of bare TCP, which counts what it receives as a `Session` does. */
export class TcpSession {
  readonly counts: EventCounts;
  onReceived: OnMessage | undefined;
  readonly #socket: Socket;

  private constructor(socket: Socket, counts: EventCounts) {
    this.#socket = socket;
    this.counts = counts;
    const reader = new MessageReader((buffer, start, end) => {
      counts.add(buffer, start, end);
      this.onReceived?.(buffer, start, end);
    });
    socket.on("data", (bytes) => reader.read(bytes, 0, bytes.length));
  }

  /** Connects and sends what opens a session. */
  static async connect(address: string, counts: EventCounts): Promise<TcpSession> {
    const { hostname, port } = new URL(`http://${address}`);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, "connect");
    const session = new TcpSession(socket, counts);
    socket.write(Buffer.alloc(5));
    return session;
  }

  /** Sends a frame made by `messageFrame`, without its head. */
  send(frame: Buffer): void {
    this.#socket.write(frame.subarray(9));
  }

  /** Ends the connection at once. */
  close(): void {
    this.#socket.destroy();
  }
}
