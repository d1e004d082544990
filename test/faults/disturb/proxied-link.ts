import { connect as dial, type Socket } from "node:net";

/** Where bytes go: `up` from client to server, `down` from server to client. */
export type Direction = "up" | "down";

/** What is done to the bytes of one direction. Everything is off by default. */
export interface FlowSettings {
  /** How long each byte is on its way, with at most 256 KiB of a connection on the way at a time. */
  latencyMs: number;
  /** At most how much longer it is on its way, at random. Bytes keep their order. */
  jitterMs: number;
  /** How much passes in a second, on each connection; at least 1. */
  bytesPerSecond: number;
  /** The most bytes written at a time; at least 1. */
  chunkBytes: number;
  /** Nothing is read or passed on, so that the sender feels back pressure; afterwards all goes on. */
  stall: boolean;
  /**
   * Bytes are swallowed and ends of connections are not told. A connection that
   * has lost something this way never passes anything again in that direction.
   */
  blackHole: boolean;
  /** Ends a connection, on both sides, once exactly so many bytes of it passed; 0 when the first comes. */
  cutAfterBytes: number;
}

/** How much may be on its way in one direction of a connection before reading stops. */
const maxQueuedBytes = 262_144;

/** What all connections of a proxy have in common. It may change at any time; `wake` says that it did. */
export interface Shared {
  settings: Record<Direction, FlowSettings>;
  bytes: Record<Direction, number>;
  idleBlackHoleMs: number;
  random: () => number;
}

/** A client's connection and the one to the server made for it. */
export class Link {
  readonly near: Socket;
  readonly far: Socket;
  readonly up: Flow;
  readonly down: Flow;
  readonly shared: Shared;
  /** Resolves when both sides are closed. */
  readonly closed: Promise<unknown>;
  onClose: () => void = () => {};
  #activeMs = performance.now();
  #forgotten = false;

  constructor(near: Socket, target: string, shared: Shared) {
    const colon = target.lastIndexOf(":");
    this.near = near;
    this.far = dial({
      host: target.slice(0, colon),
      port: Number(target.slice(colon + 1)),
      allowHalfOpen: true,
      noDelay: true,
    });
    this.shared = shared;
    this.up = new Flow(this, "up", this.near, this.far);
    this.down = new Flow(this, "down", this.far, this.near);
    this.closed = Promise.all([this.near, this.far].map((socket) => closeOf(socket)));
    void this.closed.then(() => this.onClose());
  }

  /** Says that a byte came, and whether the connection is still known. */
  touch(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#activeMs > this.shared.idleBlackHoleMs) this.#forgotten = true;
    this.#activeMs = nowMs;
    return !this.#forgotten;
  }

  wake(): void {
    this.up.wake();
    this.down.wake();
  }

  reset(): void {
    for (const socket of [this.near, this.far]) if (!socket.destroyed) socket.resetAndDestroy();
  }

  /** Ends both sides once what was written to them has left. */
  cut(): void {
    for (const socket of [this.near, this.far]) socket.destroySoon();
  }
}

/** One direction of a connection. */
class Flow {
  readonly #link: Link;
  readonly #direction: Direction;
  readonly #from: Socket;
  readonly #to: Socket;
  /** What is on its way. `null` is the end of the stream. */
  readonly #queue: { bytes: Buffer | null; cameMs: number; jitter: number }[] = [];
  #queuedBytes = 0;
  #passedBytes = 0;
  /** Until when the bandwidth is used up. */
  #busyUntilMs = 0;
  /** Whether bytes were lost, after which no others may follow. */
  #broken = false;
  #wake: () => void = () => {};

  constructor(link: Link, direction: Direction, from: Socket, to: Socket) {
    this.#link = link;
    this.#direction = direction;
    this.#from = from;
    this.#to = to;
    from.on("data", (bytes) => this.#enqueue(bytes));
    from.on("end", () => this.#enqueue(null));
    // An end that the other side shall not learn of is not passed on.
    from.on("error", () => this.#isLost() || link.reset());
    from.on("close", () => this.wake());
    this.wake();
    void this.#pump();
  }

  get #settings(): FlowSettings {
    return this.#link.shared.settings[this.#direction];
  }

  wake(): void {
    const isFull = this.#queuedBytes >= maxQueuedBytes && !this.#broken;
    if (this.#settings.stall || isFull) this.#from.pause();
    else this.#from.resume();
    this.#wake();
  }

  halfClose(): void {
    this.#broken = true;
    this.#to.end();
    this.wake();
  }

  /** Whether what comes now gets lost, which it then does for good. */
  #isLost(): boolean {
    if (!this.#link.touch() || this.#settings.blackHole) this.#broken = true;
    return this.#broken;
  }

  #enqueue(bytes: Buffer | null): void {
    if (this.#isLost()) return;
    this.#queue.push({ bytes, cameMs: performance.now(), jitter: this.#link.shared.random() });
    this.#queuedBytes += bytes?.length ?? 0;
    this.wake();
  }

  /** Passes on what is due, one write at a time, until one of the sides is closed. */
  async #pump(): Promise<void> {
    while (this.#to.writable && !(this.#from.closed && this.#queue.length === 0)) {
      const { latencyMs, jitterMs, bytesPerSecond, chunkBytes, stall, blackHole, cutAfterBytes } =
        this.#settings;
      const head = this.#queue[0];
      if (head === undefined || stall) {
        await this.#awake();
        continue;
      }
      const dueMs = Math.max(head.cameMs + latencyMs + head.jitter * jitterMs, this.#busyUntilMs);
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) {
        await this.#awake(waitMs);
        continue;
      }
      if (blackHole) this.#broken = true;
      if (this.#broken) {
        this.#queue.length = this.#queuedBytes = 0;
        this.wake();
        continue;
      }
      if (head.bytes === null) {
        this.#queue.shift();
        this.#to.end();
        continue;
      }
      const restBytes = cutAfterBytes - this.#passedBytes;
      const size = Math.min(head.bytes.length, chunkBytes, Math.ceil(bytesPerSecond / 50), restBytes);
      if (size > 0) await this.#pass(size, bytesPerSecond);
      if (size >= restBytes) this.#link.cut();
    }
  }

  /** Writes bytes of the first entry and waits until the system has taken them. */
  async #pass(size: number, bytesPerSecond: number): Promise<void> {
    const head = this.#queue[0] as { bytes: Buffer };
    const slice = head.bytes.subarray(0, size);
    if (size === head.bytes.length) this.#queue.shift();
    else head.bytes = head.bytes.subarray(size);
    this.#busyUntilMs = Math.max(this.#busyUntilMs, performance.now()) + (size / bytesPerSecond) * 1_000;
    const failed = await new Promise<unknown>((resolve) => this.#to.write(slice, resolve));
    this.#queuedBytes -= size;
    if (failed) return;
    this.#passedBytes += size;
    this.#link.shared.bytes[this.#direction] += size;
    this.wake();
  }

  /** Waits for something to happen, or for some time. */
  #awake(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}
