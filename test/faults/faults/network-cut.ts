import { createChannel } from "nice-grpc";
import { v7 as uuidv7 } from "uuid";
import type { ServerEvent } from "../../../gen/parlance/chat/v1/event_pb.js";
import type { SendResult } from "../../../gen/parlance/chat/v1/message_pb.js";
import { type Clients, clientsOf } from "../../support/clients.ts";
import { eventually } from "../../support/eventually.ts";
import { text } from "../../support/server.ts";
import type { TestStream } from "../../support/test-stream.ts";
import type { Violation } from "../checker/violation.ts";
import type { FaultContext } from "../context.ts";
import type { Direction } from "../disturb/proxy.ts";
import type { Fault } from "../fault.ts";
import { ms } from "../figures.ts";
import { History } from "../history.ts";
import { type Cut, startRelay } from "../relay.ts";
import type { FaultServer } from "../server.ts";
import { bodyMarker } from "../storm.ts";

/** How long the server may keep anything of a client that is gone, in milliseconds: the promise for presence. */
const releaseMs = 15_000;
/** The longest that an undisturbed exchange may take, on a busy machine. */
const exchangeMs = 30_000;
/** How many exchanges go on at a time. */
const lanes = 8;

/** The one message that a user sends, in however many tries, and what they know of it. */
interface Letter {
  readonly history: History;
  readonly clientMessageId: string;
  readonly body: string;
  tries: number;
  answered: boolean;
}

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
    const first = newLetter(0);
    const length = await measure(server.address, first);
    const cuts = pickCuts(context, length);
    const letters = [first];
    let longestMs = 0;
    // In batches, so that what is left over is noticed early.
    while (cuts.length > 0 && violations.length === 0) {
      const batch = cuts.splice(0, 250);
      await inLanes(batch, async (cut) => {
        const letter = newLetter(letters.length);
        letters.push(letter);
        await exchangeAndCut(server.address, letter, cut);
      });
      const release = await untilReleased(server);
      longestMs = Math.max(longestMs, release.tookMs);
      violations.push(...release.violations);
    }
    const rounds = letters.length - 1;
    const answered = letters.slice(1).filter((letter) => letter.answered).length;
    if (answered === 0 || answered === rounds)
      violations.push({ rule: "run", text: `${answered} of ${rounds} sends were answered before a cut` });

    await sendAgain(server.address, letters);
    violations.push(
      ...(await context.conclude(server, { histories: letters.map(({ history }) => history) })),
    );
    const left = violations.filter(({ rule }) => rule === "I12").length;
    return {
      rounds,
      violations,
      figure: `${rounds} cuts in an exchange of ${length.up} bytes up and ${length.down} down, ${answered} of them after the answer; ${left === 0 ? "0 sessions and calls left over" : "sessions left over"}, the last released ${ms(longestMs)} after its cut`,
    };
  },
};

/** Counts the bytes of an exchange that nothing disturbs. */
async function measure(address: string, letter: Letter): Promise<Record<Direction, number>> {
  const relay = await startRelay(address);
  try {
    await exchange(relay.address, letter);
    return { ...relay.bytes };
  } finally {
    await relay.close();
  }
}

/** Chooses where to cut: evenly over both directions, from a random byte on; in the whole run at every byte. */
function pickCuts(context: FaultContext, length: Record<Direction, number>): Cut[] {
  const total = length.up + length.down;
  const count = context.scale(240, total);
  const shift = context.random();
  return Array.from({ length: count }, (_, n) => {
    const at = Math.floor(((n + shift) / count) * total);
    const how = n % 2 === 0 ? "fin" : "rst";
    return at < length.up
      ? { direction: "up", afterBytes: at + 1, how }
      : { direction: "down", afterBytes: at - length.up + 1, how };
  });
}

async function exchangeAndCut(address: string, letter: Letter, cut: Cut): Promise<void> {
  const relay = await startRelay(address, { cut });
  const ended = exchange(relay.address, letter).catch(() => {
    // The cut. If the server did anything wrong beyond that, its log and the next try tell.
  });
  await ended;
  await relay.close();
}

/** Logs in, opens a stream, sends over it, receives the message, acknowledges it and closes: all on one connection. */
async function exchange(address: string, letter: Letter): Promise<void> {
  // Another try is another cut.
  const channel = createChannel(address, undefined, {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_retries": 0,
  });
  let stream: TestStream | undefined;
  try {
    const clients = await logIn(channel, letter);
    const own = clients.stream();
    stream = own;
    await own.open();
    await own.next("caughtUp");
    await attempt(letter, () => {
      own.send({ case: "sendDirect", value: requestOf(letter) }, "send");
      return own.next("sent");
    });
    await own.next("message");
    const { cursor } = own.events.find(({ event }) => event.case === "message") as ServerEvent;
    own.send({ case: "ack", value: cursor === undefined ? {} : { cursor } }, "ack");
    await own.next("done");
    own.halfClose();
    await own.ended;
  } finally {
    stream?.cancel();
    channel.close();
  }
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

/** Sends every letter once more, which tells what became of it. */
async function sendAgain(address: string, letters: readonly Letter[]): Promise<void> {
  const channel = createChannel(address);
  try {
    await inLanes([...letters], async (letter) => {
      const { chat } = await logIn(channel, letter);
      await attempt(letter, async () => (await chat.sendDirect(requestOf(letter))).result as SendResult);
    });
  } finally {
    channel.close();
  }
}

async function logIn(channel: ReturnType<typeof createChannel>, { history }: Letter): Promise<Clients> {
  const { chat } = clientsOf(channel, {});
  const { sessionToken } = await chat.login(
    { credential: { case: "devUserId", value: history.userId }, device: { deviceId: history.deviceId } },
    { signal: AbortSignal.timeout(exchangeMs) },
  );
  return clientsOf(channel, { authorization: `Bearer ${sessionToken}` });
}

/** Notes one try to send a letter. Of one without an answer it is left open what became of it. */
async function attempt(letter: Letter, send: () => Promise<SendResult>): Promise<void> {
  const { history, clientMessageId, body } = letter;
  const op = ++letter.tries;
  const operation = { f: "send" as const, to: { recipientId: recipient }, clientMessageId, body };
  history.add({ type: "invoke", op, operation });
  const { conversationId, seq, position, messageId, duplicate } = await send();
  letter.answered = true;
  const place = { seq: Number(seq), position: Number(position) };
  history.add({ type: "ok", op, conversationId, ...place, messageId, duplicate });
}

/** Somebody who is never there. */
const recipient = "recipient";

function requestOf({ clientMessageId, body }: Letter) {
  return { recipientId: recipient, content: text(body), clientMessageId };
}

/** All as long as each other, so that their exchanges are, too. */
function newLetter(n: number): Letter {
  const clientMessageId = uuidv7();
  return {
    history: new History("raw", `cut-${String(n).padStart(6, "0")}`, "default"),
    clientMessageId,
    body: `${bodyMarker} ${clientMessageId}`,
    tries: 0,
    answered: false,
  };
}

/** Works through a list, some at a time. */
async function inLanes<T>(list: T[], work: (item: T) => Promise<void>): Promise<void> {
  const lane = async () => {
    for (let item = list.shift(); item !== undefined; item = list.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
