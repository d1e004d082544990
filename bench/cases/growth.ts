import type { Case, Context } from "../lib/context.ts";
import { rowOf } from "../lib/pairs.ts";
import { residentBytes } from "../lib/process-usage.ts";
import type { Row } from "../lib/row.ts";
import { type ParlanceServer, startParlance } from "../lib/server.ts";
import { compareCpu, type Side } from "../lib/side.ts";
import type { DirectUser } from "../load/direct.ts";
import { Failure } from "../load/failure.ts";
import { sendMany } from "../load/fill.ts";
import { userIds } from "../load/groups.ts";
import { Http2Connection } from "../load/http2-connection.ts";
import { MessageIds, SendFrames } from "../load/sends.ts";
import { Session } from "../load/session.ts";
import { tokenFor } from "../load/tokens.ts";

/** How much a send may cost, of what it costs into one conversation of a short log. */
const maxGrowth = 1.3;

/** What a send costs as the log and the number of conversations grow. */
export const growth: Case = {
  name: "growth",
  work: "sends into 1, 10, 100 and 1,000 conversations, with 10,000, 100,000 and 1,000,000 events stored",
  async run(context) {
    const { quick, progress } = context;
    const logSizes = quick ? [500, 1_000] : [10_000, 100_000, 1_000_000];
    const conversationCounts = quick ? [1, 10] : [1, 10, 100, 1_000];
    const ours = await Sender.start(context, Math.max(...conversationCounts));
    try {
      const rows: Row[] = [];
      for (const size of logSizes) {
        await ours.fill(size);
        progress(`growth: ${size} events are stored`);
        for (const conversations of conversationCounts) {
          const floor = await Sender.start(context, 1);
          await floor.fill(logSizes[0] as number);
          const pairs = await compareCpu(context, ours.side(context, conversations), {
            ...floor.side(context, 1),
            close: () => floor.close(),
          });
          const name = `growth/${size}/${conversations}`;
          rows.push({ ...rowOf(pairs, { name, ...head }), resident_mb: ours.residentMb });
        }
      }
      return [worst(rows), ...rows];
    } finally {
      await ours.close();
    }
  },
};

const head = {
  unit: "µs CPU/send",
  target: null,
  floorIs: "sends into one conversation, with the fewest events stored",
};

/** A server and one user who sends to it. */
class Sender {
  readonly #server: ParlanceServer;
  readonly #user: DirectUser;
  readonly #failure: Failure;
  #stored = 0;

  private constructor(server: ParlanceServer, user: DirectUser, failure: Failure) {
    this.#server = server;
    this.#user = user;
    this.#failure = failure;
  }

  /** @param conversations how many the user has */
  static async start(context: Context, conversations: number): Promise<Sender> {
    const server = await startParlance(context);
    const failure = new Failure();
    const connection = await Http2Connection.connect(server.address);
    const session = await Session.open(connection, { token: tokenFor("sender"), failure });
    const ids = new MessageIds();
    const frames = userIds("recipient", conversations).map((recipientId) =>
      SendFrames.forStream({ recipientId }, ids),
    );
    return new Sender(server, { session, frames }, failure);
  }

  get residentMb(): number {
    return Math.round(residentBytes(this.#server.pid) / 2 ** 20);
  }

  /** Sends to all conversations until so many events are stored. */
  async fill(events: number): Promise<void> {
    if (events > this.#stored) await this.#send(events - this.#stored, this.#user.frames);
  }

  /** Sends to some of the conversations. Each run is of the same length, so that the log grows alike. */
  side({ quick }: Context, conversations: number): Side {
    const units = quick ? 200 : 5_000;
    const frames = this.#user.frames.slice(0, conversations);
    return {
      server: this.#server,
      run: async () => {
        const startMs = performance.now();
        await this.#send(units, frames);
        return { units, seconds: (performance.now() - startMs) / 1000 };
      },
      // It goes on to be filled.
      close: async () => {},
    };
  }

  async close(): Promise<void> {
    this.#user.session.close();
    await this.#server.close();
  }

  async #send(count: number, frames: readonly SendFrames[]): Promise<void> {
    await sendMany({ session: this.#user.session, frames }, count, this.#failure);
    this.#stored += count;
  }
}

/** Returns the row that grew most, as that of the whole. */
function worst(rows: readonly Row[]): Row {
  const row = rows.reduce((a, b) => ((b.ratio ?? 0) > (a.ratio ?? 0) ? b : a));
  return {
    ...row,
    name: "growth",
    worst: row.name,
    target: `≤ ${maxGrowth} × one conversation, fewest events`,
    met: (row.ratio ?? 0) <= maxGrowth,
  };
}
