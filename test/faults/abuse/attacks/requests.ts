/** One user or address whose requests, answers or sessions cost more than they should. */

import { setTimeout as delay } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { createChannel, createClient } from "nice-grpc";
import { ServerReflection } from "../../../../gen/grpc/reflection/v1/reflection_pb.js";
import { SendDirectRequestSchema } from "../../../../gen/parlance/chat/v1/chat_service_pb.js";
import { ListMessagesRequestSchema } from "../../../../gen/parlance/chat/v1/message_service_pb.js";
import { toDefinition } from "../../../../wire/definition.ts";
import { FramePeer, FrameType, frame, headerBlock } from "../../../bad-input/raw-http2.ts";
import { logIn } from "../../../support/connect.ts";
import { text } from "../../../support/server.ts";
import type { Attack, Target } from "../attack.ts";
import { Tally } from "../tally.ts";
import { inParallel } from "./in-parallel.ts";

const attacker = "mallory";
const listPath = "/parlance.chat.v1.MessageService/ListMessages";
const page = { target: { case: "recipientId" as const, value: "nobody" }, pageSize: 100 };

const reflectionFlood: Attack = {
  id: "D22",
  name: "reflection-flood",
  title: "one address asks reflection for the same file again and again, on 8 streams at a time",
  async run(target) {
    const tally = new Tally(target);
    const channel = createChannel(target.address);
    const client = createClient(toDefinition(ServerReflection), channel);
    async function* requests() {
      for (let i = 0; i < 1_000; i++)
        yield {
          messageRequest: { case: "fileContainingSymbol" as const, value: "parlance.chat.v1.ChatService" },
        };
    }
    await inParallel(8, target, () =>
      tally.count(drain(client.serverReflectionInfo(requests(), { signal: target.signal }))),
    );
    channel.close();
    return tally.report("streams");
  },
};

const emptyMessages: Attack = {
  id: "D23",
  ci: true,
  name: "empty-messages",
  title: "one user sends requests with 60,000 empty entries in a list, 8 at a time",
  async run(target) {
    const tally = new Tally(target);
    const [token] = await logIn(target.address, [attacker]);
    const { chat } = target.connect(token);
    const content = {
      kind: { case: "text" as const, value: { body: "x", entities: Array(60_000).fill({}) } },
    };
    const request = create(SendDirectRequestSchema, { recipientId: "nobody", content });
    await inParallel(8, target, () => tally.count(chat.sendDirect(request, { signal: target.signal })));
    return tally.report("sends");
  },
};

const loginStorm: Attack = {
  id: "D24",
  name: "login-storm",
  title: "one user with 2,000 sessions logs in and out, 20 at a time",
  async prepare({ address }) {
    for (let i = 0; i < 20; i++) await logIn(address, Array(100).fill(attacker));
  },
  async run(target) {
    const tally = new Tally(target);
    await inParallel(20, target, (n) =>
      tally.count(
        logIn(target.address, [attacker], `device-${n}`).then(async ([token]) => {
          const { chat, close } = target.connect(token);
          await chat.logout({}).finally(close);
        }),
      ),
    );
    return tally.report("logins with a logout");
  },
};

const unreadAnswers: Attack = {
  id: "D25",
  name: "unread-answers",
  title: "one user asks for pages over ten connections and reads none",
  // What is being read and encoded comes on top of the 32 MiB that may wait, until it is collected.
  maxGrowthMb: 192,
  prepare: writeMuch,
  async run(target) {
    const [token = ""] = await logIn(target.address, [attacker]);
    const block = headerBlock(listPath, [["authorization", `Bearer ${token}`]]);
    const request = frame(toBinary(ListMessagesRequestSchema, create(ListMessagesRequestSchema, page)));
    const peers = await Promise.all(Array.from({ length: 10 }, () => FramePeer.connect(target.address)));
    for (const peer of peers) {
      // SETTINGS_INITIAL_WINDOW_SIZE of 0: no answer's message may leave.
      peer.send(FrameType.SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]));
      for (let id = 1; id < 200; id += 2) {
        peer.send(FrameType.HEADERS, 4, id, block);
        peer.send(FrameType.DATA, 1, id, request);
      }
    }
    while (!target.signal.aborted) await delay(50);
    for (const peer of peers) peer.destroy();
    return { figure: "1,000 pages asked for", problems: [] };
  },
};

const earlyAnswers: Attack = {
  id: "D26",
  name: "early-answers",
  title: "one address begins calls without a token on the HTTP port and never ends them",
  async run(target) {
    let calls = 0;
    const block = headerBlock(listPath, []);
    while (!target.signal.aborted) {
      const peer = await FramePeer.connect(target.httpAddress);
      for (let id = 1; !peer.closed && !target.signal.aborted; id += 2, calls++) {
        peer.send(FrameType.HEADERS, 4, id, block);
        if (id % 41 === 0) await delay(10);
      }
      peer.destroy();
    }
    return { figure: `${calls} calls begun`, problems: [] };
  },
};

/** Leaves the attacker a conversation of 100 messages of 16 KB. */
async function writeMuch(target: Target): Promise<void> {
  const [token] = await logIn(target.address, [attacker]);
  const { chat } = target.connect(token);
  for (let i = 0; i < 100; i++)
    await chat.sendDirect({ recipientId: "nobody", content: text("x".repeat(16_000)) });
}

async function drain(answers: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of answers);
}

/** Requests, answers and sessions that cost more than they should. */
export const requestAttacks: readonly Attack[] = [
  reflectionFlood,
  emptyMessages,
  loginStorm,
  unreadAnswers,
  earlyAnswers,
];
