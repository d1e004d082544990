import type { Done } from "./fan-out.ts";
import type { Http2Connection } from "./http2-connection.ts";
import type { SendFrames } from "./sends.ts";

/** A connection that makes calls. */
export interface Caller {
  connection: Http2Connection;
  headers: Buffer;
  /** Makes requests, each a frame that ends its stream. */
  frames: Pick<SendFrames, "next">;
}

/** What unary calls did, with how long each took. */
export interface CallsDone extends Done {
  latenciesMs: number[];
}

/** Makes unary calls, each again as soon as one was answered. */
export class UnaryLoad {
  readonly #callers: readonly Caller[];
  readonly #window: number;

  /** @param window how many calls each caller has under way */
  constructor(callers: readonly Caller[], window: number) {
    this.#callers = callers;
    this.#window = window;
  }

  /** Makes calls for some time and resolves once all are answered. */
  async run(seconds: number): Promise<CallsDone> {
    const startMs = performance.now();
    const endMs = startMs + seconds * 1000;
    const latenciesMs: number[] = [];
    const calls = this.#callers.flatMap((caller) =>
      Array.from({ length: this.#window }, () => repeat(caller, endMs, latenciesMs)),
    );
    await Promise.all(calls);
    return { units: latenciesMs.length, seconds: (performance.now() - startMs) / 1000, latenciesMs };
  }
}

/** Makes one call after the other. */
function repeat(
  { connection, headers, frames }: Caller,
  endMs: number,
  latenciesMs: number[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    function next(startMs: number): void {
      let answered = false;
      const stream = connection.open(headers, {
        onData: () => {
          answered = true;
        },
        onEnd: (failure) => {
          if (!answered) {
            reject(new Error(failure ?? "a call was refused; the server logs why at level debug"));
            return;
          }
          const nowMs = performance.now();
          latenciesMs.push(nowMs - startMs);
          if (nowMs < endMs) next(nowMs);
          else resolve();
        },
      });
      connection.send(stream, frames.next());
    }
    next(performance.now());
  });
}
