import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startChild } from "../lib/child.ts";
import { type Case, type Context, sessionCount } from "../lib/context.ts";
import { rowOf } from "../lib/pairs.ts";
import { startFloor } from "../lib/server.ts";
import { compareCpu, type Side } from "../lib/side.ts";
import { temporaryFolder } from "../lib/temporary-folder.ts";
import { DirectLoad } from "../load/direct.ts";
import { Failure } from "../load/failure.ts";
import { closeSessions, openSessions } from "../load/open-sessions.ts";
import { MessageIds } from "../load/sends.ts";
import { directUsers, framesFor } from "./direct-users.ts";

/** How many messages each user has under way. */
const window = 32;

/** Direct messages over streams: stored, answered and delivered. */
export const directStream: Case = {
  name: "direct-stream",
  work: "100 users, direct messages over Stream, durable, answered and delivered (32 under way each)",
  async run(context) {
    const users = sessionCount(context, 100, 10);
    const pairs = await compareCpu(context, await parlanceSide(context, users), await floorSide(users));
    const row = rowOf(pairs, {
      name: "direct-stream",
      unit: "µs CPU/message",
      target: "≤ 25 µs, ≥ 40,000/s",
      reaches: ({ ours, perSecond }) => ours <= 25 && perSecond >= 40_000,
      floorIs: "bare grpc-js, nothing decoded or stored",
    });
    return [row];
  },
};

/** The same beside the least that storing the messages costs. */
export const directStore: Case = {
  name: "direct-store",
  work: "the same, beside a bare loop of SQLite that stores such messages, 100 to a commit",
  async run(context) {
    const users = sessionCount(context, 100, 10);
    const pairs = await compareCpu(context, await parlanceSide(context, users), await sqliteSide());
    return [
      rowOf(pairs, {
        name: "direct-store",
        unit: "µs CPU/message",
        target: null,
        floorIs: "bare SQLite loop",
      }),
    ];
  },
};

async function sqliteSide(): Promise<Side> {
  const folder = temporaryFolder();
  const child = await startChild({
    command: process.execPath,
    args: [fileURLToPath(new URL("../floor/sqlite.ts", import.meta.url)), join(folder.path, "floor.db")],
    ready: /ready/,
    listens: true,
  });
  return {
    server: { pid: child.pid, startProfile: async () => {} },
    run: async (seconds) => ({ units: Number(await child.ask(String(seconds * 1000))), seconds }),
    async close() {
      await child.close();
      folder.remove();
    },
  };
}

async function parlanceSide(context: Context, count: number): Promise<Side> {
  const { server, users, failure, close } = await directUsers(context, count);
  const load = new DirectLoad(users, failure, window);
  return { server, run: (seconds) => load.run(seconds), close };
}

async function floorSide(count: number): Promise<Side> {
  const server = await startFloor("streams", "direct");
  const failure = new Failure();
  const tokens = Array.from({ length: count }, () => undefined);
  const sessions = await openSessions({ address: server.address, failure, tokens });
  const ids = new MessageIds();
  const users = sessions.map((session, i) => ({ session, frames: framesFor(i, count, ids) }));
  const load = new DirectLoad(users, failure, window);
  return {
    server,
    run: (seconds) => load.run(seconds),
    async close() {
      closeSessions(sessions);
      await server.close();
    },
  };
}
