/** What the cases of fan-out share: servers with a group under load. */

import type { Context } from "../lib/context.ts";
import { startFloor, startParlance } from "../lib/server.ts";
import type { Side } from "../lib/side.ts";
import { EventCounts } from "../load/events.ts";
import { Failure } from "../load/failure.ts";
import { FanOut } from "../load/fan-out.ts";
import { createGroup, userIds } from "../load/groups.ts";
import { closeSessions, openSessions } from "../load/open-sessions.ts";
import { MessageIds, SendFrames } from "../load/sends.ts";
import { TcpSession } from "../load/tcp-session.ts";
import { tokenFor } from "../load/tokens.ts";

/** What a group is and how it is used. */
export interface FanOutSize {
  /** How many of its members are connected. */
  connected: number;
  /** How many members it has. Default: those connected. */
  members?: number;
  /** How many sessions share a connection. Default 1. */
  perConnection?: number;
  /** How many messages are under way. Default 1. */
  window?: number;
}

const groupId = "everybody";

/** Starts Parlance with a group. */
export async function parlanceFanOut(
  context: Context,
  { connected, members = connected, perConnection = 1, window = 1 }: FanOutSize,
): Promise<Side> {
  const server = await startParlance(context);
  const users = userIds("user", members);
  await createGroup(server.address, groupId, users);
  const failure = new Failure();
  const counts = new EventCounts();
  const tokens = users.slice(0, connected).map(tokenFor);
  const sessions = await openSessions({ address: server.address, failure, tokens, perConnection, counts });
  const frames = SendFrames.forStream({ groupId }, new MessageIds());
  const load = new FanOut({ sender: firstOf(sessions), sessions, counts, frames, failure, window });
  return {
    server,
    run: (seconds) => load.run(seconds),
    async close() {
      closeSessions(sessions);
      await server.close();
    },
  };
}

/** Starts the floor of bare grpc-js. */
export async function grpcFanOut({ connected, perConnection = 1, window = 1 }: FanOutSize): Promise<Side> {
  const server = await startFloor("streams", window === 1 ? "group" : "busy-group");
  const failure = new Failure();
  const counts = new EventCounts();
  const tokens = Array.from({ length: connected }, () => undefined);
  const sessions = await openSessions({ address: server.address, failure, tokens, perConnection, counts });
  const load = new FanOut({
    sender: firstOf(sessions),
    sessions,
    counts,
    frames: floorFrames(),
    failure,
    window,
  });
  return {
    server,
    run: (seconds) => load.run(seconds),
    async close() {
      closeSessions(sessions);
      await server.close();
    },
  };
}

/** Starts the floor of bare TCP. */
export async function tcpFanOut({ connected, window = 1 }: FanOutSize): Promise<Side> {
  const server = await startFloor("tcp");
  const counts = new EventCounts();
  const sessions: TcpSession[] = [];
  for (let i = 0; i < connected; i++) sessions.push(await TcpSession.connect(server.address, counts));
  const load = new FanOut({
    sender: firstOf(sessions),
    sessions,
    counts,
    frames: floorFrames(),
    failure: new Failure(),
    window,
  });
  return {
    server,
    run: (seconds) => load.run(seconds),
    async close() {
      for (const session of sessions) session.close();
      await server.close();
    },
  };
}

function floorFrames(): SendFrames {
  return SendFrames.forStream({ groupId }, new MessageIds());
}

function firstOf<T>(sessions: readonly T[]): T {
  return sessions[0] as T;
}
