import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { LoginRequestSchema, LoginResponseSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { type Case, sessionCount } from "../lib/context.ts";
import { rowOf, type Sample } from "../lib/pairs.ts";
import { cpuUs } from "../lib/process-usage.ts";
import { startParlance } from "../lib/server.ts";
import { median, percentile, round } from "../lib/statistics.ts";
import { call, callHeaders, paths } from "../load/calls.ts";
import { Failure } from "../load/failure.ts";
import { userIds } from "../load/groups.ts";
import { Http2Connection } from "../load/http2-connection.ts";
import { closeSessions } from "../load/open-sessions.ts";
import { Session } from "../load/session.ts";

/** How many come at a time: each begins when another is done. */
const atOnce = 200;

/** Everybody comes at once: a connection, a login and a session each. */
export const loginStorm: Case = {
  name: "login-storm",
  work: "5,000 users connect, log in and open a session, 200 at a time",
  async run(context) {
    const count = sessionCount(context, 5_000, 50);
    const server = await startParlance(context);
    const samples: Sample[] = [];
    const p50: number[] = [];
    const p99: number[] = [];
    try {
      await server.startProfile();
      for (let i = 0; i < context.pairs; i++) {
        const beforeUs = cpuUs(server.pid);
        const startMs = performance.now();
        const { sessions, latenciesMs } = await storm(server.address, count);
        const seconds = (performance.now() - startMs) / 1000;
        samples.push({ value: (cpuUs(server.pid) - beforeUs) / count, perSecond: count / seconds });
        p50.push(percentile(latenciesMs, 0.5));
        p99.push(percentile(latenciesMs, 0.99));
        closeSessions(sessions);
      }
    } finally {
      await server.close();
    }
    const pairs = { ours: samples, floor: [] };
    const row = rowOf(pairs, { name: "login-storm", unit: "µs CPU/login and session", target: null });
    return [{ ...row, sessions: count, p50_ms: round(median(p50)), p99_ms: round(median(p99)) }];
  },
};

async function storm(
  address: string,
  count: number,
): Promise<{ sessions: Session[]; latenciesMs: number[] }> {
  const failure = new Failure();
  const sessions: Session[] = [];
  const latenciesMs: number[] = [];
  const queue = userIds("user", count).values();
  async function comeOneByOne(): Promise<void> {
    for (const userId of queue) {
      const startMs = performance.now();
      sessions.push(await come(address, userId, failure));
      latenciesMs.push(performance.now() - startMs);
    }
  }
  await failure.during(Promise.all(Array.from({ length: atOnce }, comeOneByOne)));
  return { sessions, latenciesMs };
}

async function come(address: string, userId: string, failure: Failure): Promise<Session> {
  const connection = await Http2Connection.connect(address);
  const request = create(LoginRequestSchema, { credential: { case: "devUserId", value: userId } });
  const answer = await call(
    connection,
    callHeaders(paths.login, undefined),
    toBinary(LoginRequestSchema, request),
  );
  const { sessionToken } = fromBinary(LoginResponseSchema, answer);
  return Session.start(connection, { token: sessionToken, failure });
}
