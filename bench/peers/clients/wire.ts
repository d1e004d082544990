import { once } from "node:events";
import { connect, type Socket } from "node:net";

/**
 * Reads what has arrived and returns how much of it it is done with. The rest
 * comes again with what follows; nothing of the buffer may be kept.
 */
export type Parser = (buffer: Buffer) => number;

/** Sockets are read one after the other, each wholly before the next, so all can read into the same memory. */
const readBuffer = Buffer.allocUnsafe(256 * 1024);

const nothing = Buffer.alloc(0);

/**
 * A TCP connection for a client that has to be cheap: it reads without
 * allocating and writes once per turn of the event loop.
 */
export class Wire {
  /** Reads what arrives; a protocol puts another in its place as it goes on. */
  parse: Parser;
  readonly #socket: Socket;
  readonly #failed: (why: string) => void;
  #rest: Buffer = nothing;
  #out: Array<Buffer | string> = [];

  private constructor(port: number, parse: Parser, failed: (why: string) => void) {
    this.parse = parse;
    this.#failed = failed;
    this.#socket = connect({
      host: "127.0.0.1",
      port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (count, buffer) => {
          this.#read((buffer as Buffer).subarray(0, count));
          return true;
        },
      },
    });
  }

  /** Connects to a port of this machine. */
  static async connect(port: number, parse: Parser, failed: (why: string) => void): Promise<Wire> {
    const wire = new Wire(port, parse, failed);
    await once(wire.#socket, "connect");
    wire.#socket.on("error", (error) => failed(`a connection broke: ${error.message}`));
    wire.#socket.on("close", () => failed("the server closed a connection"));
    return wire;
  }

  /** Sends at the end of this turn of the event loop. */
  write(bytes: Buffer | string): void {
    if (this.#out.push(bytes) === 1) setImmediate(() => this.#flush());
  }

  close(): void {
    this.#socket.removeAllListeners("close");
    this.#socket.destroy();
  }

  #flush(): void {
    const out = this.#out;
    this.#out = [];
    if (this.#socket.destroyed) return;
    this.#socket.write(out.length === 1 ? (out[0] as Buffer) : joined(out));
  }

  #read(arrived: Buffer): void {
    const buffer = this.#rest.length === 0 ? arrived : Buffer.concat([this.#rest, arrived]);
    try {
      const done = this.parse(buffer);
      this.#rest = done === buffer.length ? nothing : Buffer.from(buffer.subarray(done));
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error));
      this.close();
    }
  }
}

function joined(parts: ReadonlyArray<Buffer | string>): Buffer {
  return Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
}
