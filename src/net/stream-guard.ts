import { constants, type Http2Server, type Http2Session, type ServerHttp2Stream } from "node:http2";

import { closeOnceAnswered } from "./early-answers.ts";

type StreamListener = (stream: ServerHttp2Stream, ...rest: unknown[]) => void;

/** How many streams of a connection may be cut short before it is looked at. */
const maxCutShort = 500;
/** After so many, the server begins a stream's work only once it has seen what else has come with it. */
const restlessAfter = 20;
/** In this time so many are no flood. */
const calmMs = 10_000;

/**
 * Ends connections that have streams reset over and over, by RST_STREAM
 * (CVE-2023-44487) or by frames that have the server do it (CVE-2025-8671), and
 * soon does no work for streams that are opened and reset at once. A connection
 * whose streams mostly come to their end may go on. Streams that are answered
 * before their request has ended are closed then. Call it when the server has
 * its listeners, and before it listens.
 */
export function guardStreams(server: Http2Server): void {
  const counters = new WeakMap<Http2Session, CutCounter>();
  const own = server.listeners("stream") as StreamListener[];
  server.removeAllListeners("stream");
  server.on("session", (session) => counters.set(session, new CutCounter(session)));
  /** Of a stream that was answered. If it is reset before its request has ended, nothing else tells. */
  function onFinish(this: ServerHttp2Stream): void {
    if (this.readableEnded) return;
    if (!this.endAfterHeaders && !this.aborted && this.session) counters.get(this.session)?.count();
    closeOnceAnswered(this);
  }
  server.on("stream", (stream, ...rest) => {
    stream.on("finish", onFinish);
    const counter = stream.session && counters.get(stream.session);
    const serve = () => {
      for (const listener of own) listener.call(server, stream, ...rest);
    };
    if (isOver(stream)) {
      counter?.count();
      stream.on("error", () => {});
      return;
    }
    counter?.watch(stream);
    if (!counter?.isRestless) return serve();
    // Nobody else hears it yet.
    stream.on("error", () => {});
    setImmediate(() => {
      if (!isOver(stream)) serve();
    });
  });
}

function isOver(stream: ServerHttp2Stream): boolean {
  return stream.closed || stream.destroyed;
}

/** Counts the streams of a connection that end before their request or their answer has. */
class CutCounter {
  readonly #session: Http2Session;
  #opened = 0;
  #cutShort = 0;
  #sinceMs = performance.now();

  constructor(session: Http2Session) {
    this.#session = session;
  }

  get isRestless(): boolean {
    return this.#cutShort >= restlessAfter;
  }

  watch(stream: ServerHttp2Stream): void {
    this.#opened++;
    stream.on("aborted", this.count);
  }

  readonly count = (): void => {
    if (++this.#cutShort < maxCutShort || this.#session.destroyed) return;
    const nowMs = performance.now();
    if (nowMs - this.#sinceMs < calmMs && this.#opened < 2 * this.#cutShort) {
      this.#session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from("too_many_resets"));
      this.#session.destroy();
      return;
    }
    this.#opened = 0;
    this.#cutShort = 0;
    this.#sinceMs = nowMs;
  };
}
