import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { FrameType, frameBytes } from "../../test/bad-input/raw-http2.ts";

/** What receives of a stream. */
export interface StreamReceiver {
  /** Takes the payload of a DATA frame or a part of it, which it must not keep. */
  onData: (buffer: Buffer, start: number, end: number) => void;
  /** Is told once that nothing more comes, and why when that was not the server's orderly end. */
  onEnd: (failure: string | undefined) => void;
}

/** An open stream. */
export interface Http2Stream {
  readonly id: number;
  receiver: StreamReceiver;
  /** How much the server lets this side send. */
  sendWindow: number;
  received: number;
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const maxWindow = 2 ** 31 - 1;
const defaultWindow = 65_535;
/** A window is opened again after so much. */
const windowStep = 2 ** 30;
const headBytes = 9;
const maxFrameBytes = 16_384;
const Flag = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8 } as const;
const Setting = { INITIAL_WINDOW_SIZE: 4 } as const;

/** Sockets are read one after the other, each wholly before the next, so all can read into the same memory. */
const readBuffer = Buffer.allocUnsafe(256 * 1024);

/**
 * A client's side of an HTTP/2 connection that does just enough to talk to a
 * server of gRPC: headers are sent as blocks made before and not looked at when
 * received, and windows are as wide as they can be. It costs a fraction of
 * `node:http2`, so that thousands fit beside the server they measure.
 */
export class Http2Connection {
  readonly #socket: Socket;
  readonly #streams = new Map<number, Http2Stream>();
  #nextId = 1;
  #sendWindow = defaultWindow;
  #initialWindow = defaultWindow;
  #received = 0;
  /** Data that waits for a window, in order. */
  #blocked: Array<{ stream: Http2Stream; frame: Buffer }> = [];
  /** What leaves at the end of this turn of the event loop. */
  #out: Buffer[] = [];
  // The frame that is being received.
  readonly #head = Buffer.alloc(headBytes);
  #headFilled = 0;
  #left = 0;
  #payload: Buffer = Buffer.alloc(0);

  private constructor(host: string, port: number) {
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (count, buffer) => {
          this.#read(buffer as Buffer, count);
          return true;
        },
      },
    });
  }

  /** Connects and says what every connection begins with. */
  static async connect(address: string): Promise<Http2Connection> {
    const { hostname, port } = new URL(`http://${address}`);
    const connection = new Http2Connection(hostname, Number(port));
    await connection.#begin();
    return connection;
  }

  /** Opens a stream. */
  open(headers: Buffer, receiver: StreamReceiver): Http2Stream {
    const stream = { id: this.#nextId, receiver, sendWindow: this.#initialWindow, received: 0 };
    this.#nextId += 2;
    this.#streams.set(stream.id, stream);
    this.#write(frameBytes(FrameType.HEADERS, Flag.END_HEADERS, stream.id, headers));
    return stream;
  }

  /**
   * Sends data, as one frame, once the windows let it.
   *
   * @param frame a frame of DATA, head and all, whose stream id is put in here
   */
  send(stream: Http2Stream, frame: Buffer): void {
    frame.writeUInt32BE(stream.id, 5);
    const size = frame.length - headBytes;
    if (this.#blocked.length > 0 || size > this.#sendWindow || size > stream.sendWindow) {
      this.#blocked.push({ stream, frame });
      return;
    }
    this.#sendWindow -= size;
    stream.sendWindow -= size;
    this.#write(frame);
  }

  /** Ends the connection at once. Streams are not told. */
  close(): void {
    this.#streams.clear();
    this.#socket.destroy();
  }

  async #begin(): Promise<void> {
    const socket = this.#socket;
    await once(socket, "connect");
    socket.on("error", () => {});
    socket.on("close", () => {
      for (const { receiver } of this.#streams.values()) receiver.onEnd("the connection was closed");
      this.#streams.clear();
    });
    const settings = Buffer.alloc(6);
    settings.writeUInt16BE(Setting.INITIAL_WINDOW_SIZE, 0);
    settings.writeUInt32BE(maxWindow, 2);
    this.#write(preface);
    this.#write(frameBytes(FrameType.SETTINGS, 0, 0, settings));
    this.#openWindow(0, maxWindow - defaultWindow);
  }

  #openWindow(streamId: number, bytes: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(bytes);
    this.#write(frameBytes(FrameType.WINDOW_UPDATE, 0, streamId, payload));
  }

  #write(bytes: Buffer): void {
    if (this.#out.push(bytes) === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const out = this.#out;
    this.#out = [];
    if (!this.#socket.destroyed)
      this.#socket.write(out.length === 1 ? (out[0] as Buffer) : Buffer.concat(out));
  }

  #read(buffer: Buffer, count: number): void {
    let at = 0;
    while (at < count) {
      if (this.#headFilled < headBytes) {
        const copied = buffer.copy(this.#head, this.#headFilled, at, count);
        this.#headFilled += copied;
        at += copied;
        if (this.#headFilled < headBytes) return;
        this.#left = this.#head.readUIntBE(0, 3);
        if (this.#head[3] !== FrameType.DATA) this.#payload = Buffer.allocUnsafe(this.#left);
      }
      const end = Math.min(at + this.#left, count);
      this.#left -= end - at;
      if (this.#head[3] === FrameType.DATA) {
        if (end > at) this.#data(buffer, at, end);
      } else {
        buffer.copy(this.#payload, this.#payload.length - this.#left - (end - at), at, end);
      }
      at = end;
      if (this.#left > 0) return;
      this.#headFilled = 0;
      this.#frame();
    }
  }

  /** Handles a part of a DATA frame. */
  #data(buffer: Buffer, start: number, end: number): void {
    if ((this.#flags & Flag.PADDED) !== 0)
      throw new Error("the server pads, which this client does not read");
    this.#received += end - start;
    if (this.#received >= windowStep) {
      this.#openWindow(0, this.#received);
      this.#received = 0;
    }
    const stream = this.#streams.get(this.#streamId);
    if (stream === undefined) return;
    stream.received += end - start;
    if (stream.received >= windowStep) {
      this.#openWindow(stream.id, stream.received);
      stream.received = 0;
    }
    stream.receiver.onData(buffer, start, end);
  }

  /** Handles a frame that is there in whole. */
  #frame(): void {
    switch (this.#head[3]) {
      case FrameType.DATA:
      case FrameType.HEADERS:
        if ((this.#flags & Flag.END_STREAM) !== 0) this.#end(undefined);
        return;
      case FrameType.RST_STREAM:
        this.#end(`the stream was reset with code ${this.#payload.readUInt32BE(0)}`);
        return;
      case FrameType.SETTINGS:
        if ((this.#flags & Flag.ACK) === 0) this.#settings();
        return;
      case FrameType.PING:
        if ((this.#flags & Flag.ACK) === 0)
          this.#write(frameBytes(FrameType.PING, Flag.ACK, 0, this.#payload));
        return;
      case FrameType.WINDOW_UPDATE:
        this.#windowOpened(this.#payload.readUInt32BE(0));
    }
  }

  #end(failure: string | undefined): void {
    const stream = this.#streams.get(this.#streamId);
    this.#streams.delete(this.#streamId);
    stream?.receiver.onEnd(failure);
  }

  #settings(): void {
    for (let at = 0; at + 6 <= this.#payload.length; at += 6) {
      if (this.#payload.readUInt16BE(at) !== Setting.INITIAL_WINDOW_SIZE) continue;
      const size = this.#payload.readUInt32BE(at + 2);
      for (const stream of this.#streams.values()) stream.sendWindow += size - this.#initialWindow;
      this.#initialWindow = size;
    }
    this.#write(frameBytes(FrameType.SETTINGS, Flag.ACK, 0, Buffer.alloc(0)));
    this.#sendBlocked();
  }

  #windowOpened(bytes: number): void {
    if (this.#streamId === 0) {
      this.#sendWindow += bytes;
    } else {
      const stream = this.#streams.get(this.#streamId);
      if (stream !== undefined) stream.sendWindow += bytes;
    }
    this.#sendBlocked();
  }

  #sendBlocked(): void {
    if (this.#blocked.length === 0) return;
    const blocked = this.#blocked;
    this.#blocked = [];
    // What still finds no room goes back to the queue, in order.
    for (const { stream, frame } of blocked) this.send(stream, frame);
  }

  get #flags(): number {
    return this.#head[4] as number;
  }

  get #streamId(): number {
    return this.#head.readUInt32BE(5) & maxWindow;
  }
}

/** Makes a frame of DATA that holds a gRPC message. Its stream id is put in when it is sent. */
export function messageFrame(message: Uint8Array, last = false): Buffer {
  return dataFrame(5, message, last);
}

/** Makes a frame of DATA that holds bytes as they are. */
export function bytesFrame(bytes: Uint8Array, last = false): Buffer {
  return dataFrame(0, bytes, last);
}

function dataFrame(prefixBytes: number, bytes: Uint8Array, last: boolean): Buffer {
  const size = prefixBytes + bytes.length;
  if (size > maxFrameBytes) throw new Error(`${size} bytes do not fit into one frame`);
  const frame = Buffer.alloc(headBytes + size);
  frame.writeUIntBE(size, 0, 3);
  frame[4] = last ? Flag.END_STREAM : 0;
  if (prefixBytes > 0) frame.writeUInt32BE(bytes.length, headBytes + 1);
  frame.set(bytes, headBytes + prefixBytes);
  return frame;
}
