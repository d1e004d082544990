import { create, toBinary } from "@bufbuild/protobuf";
import { ListMessagesRequestSchema } from "../../gen/parlance/chat/v1/message_service_pb.js";
import type { Case, Context } from "../lib/context.ts";
import { rowOf } from "../lib/pairs.ts";
import { compareCpu, type Side } from "../lib/side.ts";
import { median, percentile, round } from "../lib/statistics.ts";
import { callHeaders, paths } from "../load/calls.ts";
import { sendMany } from "../load/fill.ts";
import { Http2Connection, messageFrame } from "../load/http2-connection.ts";
import { tokenFor } from "../load/tokens.ts";
import { UnaryLoad } from "../load/unary.ts";
import { directUsers } from "./direct-users.ts";

/** Each writes to five others, so that a conversation is one fiftieth of the log. */
const users = 10;
const conversations = 50;
const pageSize = 50;
/** How many pages are asked for at a time. */
const window = 10;
/** How much a page may cost in the long log, of what it costs in the short one. */
const maxGrowth = 1.3;

/** Pages out of the middle of long logs. */
export const history: Case = {
  name: "history",
  work: "ListMessages, pages of 50 from anywhere, in a log of 1,000,000 events",
  async run(context) {
    const [short, long] = context.quick ? [3_000, 6_000] : [10_000, 1_000_000];
    const runs: number[][] = [];
    const ours = await pagesSide(context, long, (latenciesMs) => runs.push(latenciesMs));
    const pairs = await compareCpu(context, ours, await pagesSide(context, short));
    const row = rowOf(pairs, {
      name: "history",
      unit: "µs CPU/page",
      target: `≤ ${maxGrowth} × a log of 10,000`,
      reaches: ({ ratio }) => ratio <= maxGrowth,
      floorIs: "the same in a log of 10,000 events",
    });
    const percentiles = (share: number) => median(runs.map((run) => percentile(run, share)));
    return [{ ...row, p50_ms: round(percentiles(0.5)), p99_ms: round(percentiles(0.99)) }];
  },
};

/** Starts Parlance with a log of so many events, read by one of its users. */
async function pagesSide(
  context: Context,
  events: number,
  onRun?: (latenciesMs: number[]) => void,
): Promise<Side> {
  const { server, users: senders, failure, close } = await directUsers(context, users);
  await Promise.all(senders.map((user) => sendMany(user, events / users, failure)));
  context.progress(`history: ${events} events are stored`);
  const connection = await Http2Connection.connect(server.address);
  const headers = callHeaders(paths.listMessages, tokenFor("user0"));
  const load = new UnaryLoad([{ connection, headers, frames: pages(events / conversations) }], window);
  return {
    server,
    async run(seconds) {
      const done = await load.run(seconds);
      onRun?.(done.latenciesMs);
      return done;
    },
    async close() {
      connection.close();
      await close();
    },
  };
}

/** Makes requests for pages that end at any seq of the conversation of the first two users. */
function pages(lastSeq: number): { next: () => Buffer } {
  return {
    next() {
      const beforeSeq = BigInt(pageSize + 1 + Math.floor(Math.random() * (lastSeq - pageSize)));
      const target = { case: "recipientId", value: "user1" } as const;
      const request = create(ListMessagesRequestSchema, { target, beforeSeq, pageSize });
      return messageFrame(toBinary(ListMessagesRequestSchema, request), true);
    },
  };
}
