import { eventually } from "../../support/eventually.ts";
import type { Violation } from "../checker/violation.ts";
import type { FaultContext } from "../context.ts";
import type { Direction } from "../disturb/proxy.ts";
import {
  catchUp,
  exchangeByCalls,
  exchangeOverStream,
  inLanes,
  type Letter,
  newLetter,
  sendAll,
} from "../exchange.ts";
import type { Fault } from "../fault.ts";
import { ms } from "../figures.ts";
import { type Cut, startRelay } from "../relay.ts";
import type { FaultServer } from "../server.ts";

/** How long the server may keep anything of a client that is gone, in milliseconds: the promise for presence. */
const releaseMs = 15_000;
/** What somebody has missed: far more than fits into windows and buffers, so that the server has to wait for its reader. */
const missed = { letters: 120, bytes: 16_000 };
const reader = "reader";
/** Somebody who is never there. */
const nobody = "nobody";

/** Connections that end in the middle of something. */
export const cutAnywhere: Fault = {
  id: "N13",
  name: "cut-anywhere",
  title: "the connection ends at any byte of login, open, send, event, ack and close, by FIN and RST in turn",
  figureTitle: "sessions and calls left over, time until the last was released",
  ci: true,
  async run(context) {
    const violations: Violation[] = [];
    const server = await context.serve();
    const letters: Letter[] = [];
    const write = (recipientId: string, bytes?: number) => {
      const letter = newLetter(letters.length, recipientId, bytes);
      letters.push(letter);
      return letter;
    };
    await sendAll(
      server.address,
      Array.from({ length: missed.letters }, () => write(reader, missed.bytes)),
    );

    const work: { cut: Cut; run: (address: string) => Promise<void> }[] = [];
    const figures: string[] = [];
    for (const [name, run, ci] of [
      ["over a stream", (address: string) => exchangeOverStream(address, write(nobody)), 180],
      ["by calls", (address: string) => exchangeByCalls(address, write(nobody)), 120],
      ["while catching up", (address: string) => catchUp(address, reader), 60],
    ] as const) {
      const length = await measure(server.address, run);
      const bytes = length.up + length.down;
      const cuts = pickCuts(context, length, context.scale(ci, Math.min(bytes, 1_600)));
      work.push(...cuts.map((cut) => ({ cut, run })));
      figures.push(`${cuts.length} cuts in ${bytes} bytes ${name}`);
    }
    const rounds = work.length;
    let longestMs = 0;
    // In batches, so that what is left over is noticed early.
    while (work.length > 0 && violations.length === 0) {
      await inLanes(work.splice(0, 300), ({ cut, run }) => runAndCut(server.address, cut, run));
      const release = await untilReleased(server);
      longestMs = Math.max(longestMs, release.tookMs);
      violations.push(...release.violations);
    }
    const began = letters.slice(missed.letters).filter(({ tries }) => tries > 0);
    const answered = began.filter((letter) => letter.answered).length;
    if (answered === began.length)
      violations.push({ rule: "run", text: "no send was cut off from its answer" });

    // Every letter once more, which tells what became of it.
    await sendAll(server.address, letters);
    violations.push(
      ...(await context.conclude(server, { histories: letters.map(({ history }) => history) })),
    );
    const left = violations.filter(({ rule }) => rule === "I12").length;
    return {
      rounds,
      violations,
      figure: `${figures.join(", ")}; ${answered} of ${began.length} sends answered before; ${left === 0 ? "0 sessions and calls left over" : "sessions left over"}, the last released ${ms(longestMs)} after its cut`,
    };
  },
};

/** Counts the bytes of something that nothing disturbs. */
async function measure(
  address: string,
  run: (address: string) => Promise<void>,
): Promise<Record<Direction, number>> {
  const relay = await startRelay(address);
  try {
    await run(relay.address);
    return { ...relay.bytes };
  } finally {
    await relay.close();
  }
}

/** Chooses where to cut: evenly over both directions, from a random byte on, by FIN and RST in turn. */
function pickCuts(context: FaultContext, length: Record<Direction, number>, count: number): Cut[] {
  const total = length.up + length.down;
  const shift = context.random();
  return Array.from({ length: count }, (_, n) => {
    const at = Math.floor(((n + shift) / count) * total);
    const how = n % 2 === 0 ? "fin" : "rst";
    return at < length.up
      ? { direction: "up", afterBytes: at + 1, how }
      : { direction: "down", afterBytes: at - length.up + 1, how };
  });
}

async function runAndCut(address: string, cut: Cut, run: (address: string) => Promise<void>): Promise<void> {
  const relay = await startRelay(address, { cut });
  await run(relay.address).catch(() => {
    // The cut. If the server did anything wrong beyond that, its log and the next try tell.
  });
  await relay.close();
}

/** Waits until the server holds nothing any more of those who are gone. */
async function untilReleased(server: FaultServer): Promise<{ tookMs: number; violations: Violation[] }> {
  const fromMs = performance.now();
  const isEmpty = async () => {
    const { sessions, calls } = await server.status();
    return sessions + calls === 0;
  };
  const violations: Violation[] = [];
  await eventually(isEmpty, releaseMs).catch(async () => {
    const { sessions, calls } = await server.status();
    violations.push({
      rule: "I12",
      text: `${ms(releaseMs)} after the last cut the server has ${sessions} sessions and ${calls} calls of clients that are gone`,
    });
  });
  return { tookMs: performance.now() - fromMs, violations };
}
