/** Faults of clients, and of access, where their users are on several nodes. */

import { setTimeout as delay } from "node:timers/promises";
import { CloseReason } from "../../../../gen/parlance/chat/v1/event_pb.js";
import type { SendResult } from "../../../../gen/parlance/chat/v1/message_pb.js";
import { httpClients } from "../../../connect/clients.ts";
import { connect, logIn } from "../../../support/connect.ts";
import { text } from "../../../support/server.ts";
import type { Violation } from "../../checker/violation.ts";
import { RawClient } from "../../clients/raw-client.ts";
import { directMessage } from "../../direct-message.ts";
import type { Fault } from "../../fault.ts";
import { revolve } from "../../faults/access.ts";
import { ms, percentile } from "../../figures.ts";
import { History } from "../../history.ts";
import { bodyMarker } from "../../storm.ts";
import { clusterFault, startSpreadStorm } from "../cluster-fault.ts";

const repeatEverywhere = clusterFault({
  id: "K1n",
  name: "repeat-on-nodes",
  title: "the same `client_message_id` 100 times at once, on two nodes, by gRPC, gRPC-Web and Connect",
  figureTitle: "stored, distinct seqs and first answers of each id",
  ci: false,
  async run(context) {
    const rounds = context.scale(5, 40);
    const violations: Violation[] = [];
    const cluster = await context.cluster({ nodes: 2 });
    await startSpreadStorm(context, cluster, { perSecond: 30 });
    const history = new History("raw", "repeater", "default");
    const [token = ""] = await logIn(cluster.node(0).address, [history.userId]);
    const headers = { authorization: `Bearer ${token}` };
    const ways = cluster.servers.flatMap(({ address }, index) => {
      const http = cluster.httpAddresses[index] as string;
      const grpc = connect(address, token);
      const web = httpClients("gRPC-Web over HTTP/2", http, headers);
      const json = httpClients("Connect, JSON, over HTTP/1.1", http, headers);
      for (const { close } of [grpc, web, json]) context.defer(close);
      return [grpc.chat, web.chat, json.chat];
    });
    let op = 0;
    const most = { seqs: 0, firsts: 0 };
    for (let round = 0; round < rounds; round++) {
      const message = { ...directMessage("sdk-1"), body: `${bodyMarker} repeated ${round}` };
      const { clientMessageId, body } = message;
      const answers = await Promise.all(
        Array.from({ length: 100 }, async (_, n): Promise<SendResult | undefined> => {
          const own = ++op;
          history.add({ type: "invoke", op: own, operation: message });
          const request = { recipientId: "sdk-1", content: text(body), clientMessageId };
          const { result } = await (ways[n % ways.length] as (typeof ways)[0]).sendDirect(request);
          if (result !== undefined) {
            const { conversationId, messageId, duplicate } = result;
            const [seq, position] = [Number(result.seq), Number(result.position)];
            history.add({ type: "ok", op: own, conversationId, seq, position, messageId, duplicate });
          }
          return result;
        }),
      );
      const results = answers.filter((result) => result !== undefined);
      const seqs = new Set(results.map(({ seq }) => seq)).size;
      const firsts = results.filter(({ duplicate }) => !duplicate).length;
      most.seqs = Math.max(most.seqs, seqs);
      most.firsts = Math.max(most.firsts, firsts);
      if (results.length === 100 && seqs === 1 && firsts === 1) continue;
      const what = `of 100 sends ${results.length} were answered, ${firsts} as the first, with ${seqs} seqs`;
      violations.push({ rule: "I8", text: what });
    }
    violations.push(...(await context.conclude(cluster, { histories: [history] })));
    return {
      rounds,
      violations,
      figure: `of 100 repeats at once at most ${most.seqs} distinct seq, ${most.firsts} first answer; ${rounds * 100} sends on two nodes in three protocols, one stored of each id`,
    };
  },
});

const removeElsewhere = clusterFault({
  id: "A1n",
  name: "remove-on-nodes",
  title:
    "a member on one node is removed and added again on a second, while a third has 100 messages a second",
  figureTitle: "events after a removal, when the member heard of it",
  ci: true,
  async run(context) {
    const cluster = await context.cluster();
    await startSpreadStorm(context, cluster, { perSecond: 30 });
    const [owner, writer, victim] = cluster.addresses as [string, string, string];
    return revolve(context, cluster, { rounds: context.scale(10, 60), at: { owner, writer, victim } });
  },
});

/** Within this time a logout takes effect on every node, also where the bus lost it, in milliseconds. */
const logoutMs = 3_000;

const logOutElsewhere = clusterFault({
  id: "A2n",
  name: "log-out-on-nodes",
  title: "users with a stream on one node log out on another, while half of what comes over the bus is lost",
  figureTitle: "time until the stream ended, events after that",
  ci: false,
  async run(context) {
    const rounds = context.scale(12, 60);
    const violations: Violation[] = [];
    const cluster = await context.cluster({
      nodes: 2,
      optionsOf: () => ({ failPoints: "bus.receive=drop%50" }),
    });
    const [here, there] = cluster.addresses as [string, string];
    const writer = new RawClient({ address: there, userId: "writer", random: context.random });
    context.defer(() => writer.close());
    await writer.start();
    const tookMs: number[] = [];
    let late = 0;
    async function one(userId: string): Promise<void> {
      const [token = ""] = await logIn(here, [userId]);
      const connection = connect(here, token);
      const elsewhere = connect(there, token);
      const stream = connection.stream();
      await stream.open();
      let over = false;
      const writing = (async () => {
        while (!over) {
          await writer.perform(directMessage(userId));
          await delay(50);
        }
      })();
      await context.pause(300, 900);
      await elsewhere.chat.logout({ allDevices: context.random() < 0.5 });
      const outMs = performance.now();
      const outcome = await Promise.race([stream.ended, delay(logoutMs + 5_000, "open", { ref: false })]);
      tookMs.push(performance.now() - outMs);
      if (outcome === "open")
        violations.push({ rule: "I9", text: `${userId}'s stream is open after a logout` });
      else if (stream.all("closed").at(-1)?.reason !== CloseReason.LOGGED_OUT)
        violations.push({ rule: "I14", text: `${userId}'s stream ended with ${outcome}` });
      const before = stream.events.length;
      await delay(300);
      late += stream.events.length - before;
      const answer = await connection.conversations.listConversations({}).then(
        () => "an answer",
        (error: Error) => error.message,
      );
      if (!answer.includes("UNAUTHENTICATED"))
        violations.push({ rule: "I9", text: `after a logout ${userId}'s token gets ${answer}` });
      over = true;
      await writing;
      stream.cancel();
      for (const { close } of [connection, elsewhere]) close();
    }
    const atOnce = 6;
    for (let round = 0; round < rounds; round += atOnce)
      await Promise.all(Array.from({ length: atOnce }, (_, n) => one(`leaver-${round + n}`)));
    if (late > 0) violations.push({ rule: "I9", text: `${late} events after a logout` });
    await writer.close();
    violations.push(...(await context.conclude(cluster, { histories: [writer.history] })));
    return {
      rounds: tookMs.length,
      violations,
      figure: `ended after p50 ${ms(percentile(tookMs, 50))}, max ${ms(percentile(tookMs, 100))}; ${late} events after that`,
    };
  },
});

/** Faults of clients and access. */
export const clusterClientFaults: readonly Fault[] = [repeatEverywhere, removeElsewhere, logOutElsewhere];
