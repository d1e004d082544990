import { type Case, type Context, sessionCount } from "../lib/context.ts";
import { type Pairs, rowOf } from "../lib/pairs.ts";
import { type MeasuredServer, startFloor, startParlance } from "../lib/server.ts";
import { compareCpu, type Side } from "../lib/side.ts";
import { round } from "../lib/statistics.ts";
import { callHeaders, paths } from "../load/calls.ts";
import { userIds } from "../load/groups.ts";
import { Http2Connection } from "../load/http2-connection.ts";
import { MessageIds, SendFrames } from "../load/sends.ts";
import { tokenFor } from "../load/tokens.ts";
import { type Caller, UnaryLoad } from "../load/unary.ts";

/** How many calls are under way on each connection. */
const window = 10;

const minRatio = 0.6;

/** Unary sends, each durable before it is answered. */
export const directUnary: Case = {
  name: "direct-unary",
  work: "SendDirect, durable, 20 connections with 10 calls under way each",
  async run(context) {
    const ours = await unarySide(await startParlance(context), context);
    const floor = await unarySide(await startFloor("unary"), context);
    const pairs = await compareCpu(context, ours, floor);
    const row = rowOf(perCpuSecond(pairs), {
      name: "direct-unary",
      unit: "calls/CPU second",
      target: `≥ ${minRatio} × bare nice-grpc echo, by CPU or by time`,
      reaches: ({ ratio }) => ratio >= minRatio,
      floorIs: "bare nice-grpc, nothing decoded or stored",
    });
    const rateRatio = (row.per_second ?? 0) / (row.floor_per_second ?? Number.NaN);
    return [{ ...row, met: row.met || rateRatio >= minRatio, per_second_ratio: round(rateRatio) }];
  },
};

/** Turns CPU time per call into calls per CPU time, since that is what the target speaks of. */
function perCpuSecond({ ours, floor }: Pairs): Pairs {
  const invert = ({ value, ...rest }: Pairs["ours"][number]) => ({ ...rest, value: 1e6 / value });
  return { ours: ours.map(invert), floor: floor.map(invert) };
}

async function unarySide(server: MeasuredServer, context: Context): Promise<Side> {
  const users = userIds("user", sessionCount(context, 20, 2));
  const callers = await Promise.all(
    users.map(
      async (userId): Promise<Caller> => ({
        connection: await Http2Connection.connect(server.address),
        headers: callHeaders(paths.sendDirect, tokenFor(userId)),
        frames: SendFrames.forUnary("recipient", new MessageIds()),
      }),
    ),
  );
  const load = new UnaryLoad(callers, window);
  return {
    server,
    run: (seconds) => load.run(seconds),
    async close() {
      for (const { connection } of callers) connection.close();
      await server.close();
    },
  };
}
