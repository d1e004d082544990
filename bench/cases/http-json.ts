import { type Case, type Context, sessionCount } from "../lib/context.ts";
import { rowOf } from "../lib/pairs.ts";
import type { Row } from "../lib/row.ts";
import { startParlance } from "../lib/server.ts";
import { compareCpu, type Side } from "../lib/side.ts";
import { callHeaders, paths } from "../load/calls.ts";
import { EventCounts } from "../load/events.ts";
import { Failure } from "../load/failure.ts";
import { FanOut } from "../load/fan-out.ts";
import { createGroup, userIds } from "../load/groups.ts";
import { Http2Connection } from "../load/http2-connection.ts";
import { JsonListener, JsonSends } from "../load/json-calls.ts";
import { MessageIds, SendFrames } from "../load/sends.ts";
import { Session } from "../load/session.ts";
import { tokenFor } from "../load/tokens.ts";
import { UnaryLoad } from "../load/unary.ts";
import { parlanceFanOut } from "./fan-out-sides.ts";

const groupId = "everybody";

/** What JSON over HTTP costs beside gRPC. */
export const httpJson: Case = {
  name: "http-json",
  work: "SendDirect by 20 users, and 200 listeners of a group, in JSON over HTTP/1.1",
  run: async (context) => [await sends(context), await listening(context)],
};

async function sends(context: Context): Promise<Row> {
  const server = await startParlance(context);
  const tokens = userIds("user", sessionCount(context, 20, 2)).map(tokenFor);
  const json = new JsonSends({
    address: server.httpAddress,
    path: paths.sendDirect,
    tokens,
    ids: new MessageIds(),
  });
  const callers = await Promise.all(
    tokens.map(async (token) => ({
      connection: await Http2Connection.connect(server.address),
      headers: callHeaders(paths.sendDirect, token),
      // Ids of its own, apart from those of the other side.
      frames: SendFrames.forUnary("recipient", new MessageIds(0)),
    })),
  );
  const grpc = new UnaryLoad(callers, 1);
  const ours: Side = {
    server,
    run: (seconds) => json.run(seconds),
    async close() {
      json.close();
      for (const { connection } of callers) connection.close();
      await server.close();
    },
  };
  const floor: Side = { server, run: (seconds) => grpc.run(seconds), close: async () => {} };
  return rowOf(await compareCpu(context, ours, floor), {
    name: "http-json",
    unit: "µs CPU/send",
    target: null,
    floorIs: "the same over gRPC",
  });
}

async function listening(context: Context): Promise<Row> {
  const listeners = sessionCount(context, 200, 20);
  const floor = await parlanceFanOut(context, { connected: listeners });
  return rowOf(await compareCpu(context, await jsonSide(context, listeners), floor), {
    name: "http-json/listen",
    unit: "µs CPU/delivery",
    target: null,
    floorIs: "Stream over gRPC",
  });
}

/** A group all of whose members listen in JSON, except one who sends over gRPC. */
async function jsonSide(context: Context, listeners: number): Promise<Side> {
  const server = await startParlance(context);
  const [ownerId = "", ...memberIds] = userIds("user", listeners);
  await createGroup(server.address, groupId, [ownerId, ...memberIds]);
  const failure = new Failure();
  const counts = new EventCounts();
  const sender = await Session.open(await Http2Connection.connect(server.address), {
    token: tokenFor(ownerId),
    failure,
    counts,
  });
  const others: JsonListener[] = [];
  for (const userId of memberIds)
    others.push(await JsonListener.open(server.httpAddress, paths.listen, tokenFor(userId), counts));
  const frames = SendFrames.forStream({ groupId }, new MessageIds());
  const load = new FanOut({ sender, sessions: [sender, ...others], counts, frames, failure, window: 1 });
  return {
    server,
    run: (seconds) => load.run(seconds),
    async close() {
      sender.close();
      for (const listener of others) listener.close();
      await server.close();
    },
  };
}
