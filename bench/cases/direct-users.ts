import type { Context } from "../lib/context.ts";
import { type ParlanceServer, startParlance } from "../lib/server.ts";
import type { DirectUser } from "../load/direct.ts";
import { Failure } from "../load/failure.ts";
import { userIds } from "../load/groups.ts";
import { closeSessions, openSessions } from "../load/open-sessions.ts";
import { MessageIds, SendFrames } from "../load/sends.ts";
import { tokenFor } from "../load/tokens.ts";

/** How many others each user writes to. */
const partners = 5;

/** Users with open sessions. */
export interface DirectUsers {
  server: ParlanceServer;
  users: DirectUser[];
  failure: Failure;
  close: () => Promise<void>;
}

/** Starts Parlance with users who write to each other, each with a connection of their own. */
export async function directUsers(context: Context, count: number): Promise<DirectUsers> {
  const server = await startParlance(context);
  const failure = new Failure();
  const tokens = userIds("user", count).map(tokenFor);
  const ids = new MessageIds();
  const sessions = await openSessions({ address: server.address, failure, tokens });
  return {
    server,
    failure,
    users: sessions.map((session, i) => ({ session, frames: framesFor(i, count, ids) })),
    async close() {
      closeSessions(sessions);
      await server.close();
    },
  };
}

/** Makes what user number `i` of `count` sends: to those who follow, in a circle. All share the clock of `ids`. */
export function framesFor(i: number, count: number, ids: MessageIds): SendFrames[] {
  return Array.from({ length: Math.min(partners, count - 1) }, (_, k) =>
    SendFrames.forStream({ recipientId: `user${(i + k + 1) % count}` }, ids),
  );
}
