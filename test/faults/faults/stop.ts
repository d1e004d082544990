/** Faults in which the server is asked to stop. */

import { CloseReason } from "../../../gen/parlance/chat/v1/event_pb.js";
import { connect, logIn } from "../../support/connect.ts";
import type { Violation } from "../checker/violation.ts";
import type { FaultContext } from "../context.ts";
import type { Fault } from "../fault.ts";
import { ms, percentile } from "../figures.ts";
import type { History } from "../history.ts";

/** The grace time of the server, in milliseconds: the default of `drainGraceMs`. */
const graceMs = 10_000;
/** How long a process may take to close its files and end, once the grace time is over. */
const exitMs = 2_000;

/** SIGTERM while everybody is there. */
export const drainAll: Fault = {
  id: "P4",
  name: "drain",
  title: "SIGTERM with 300 open streams, half of them raw, half of the SDK",
  figureTitle: "time until the process has ended, streams that ended cleanly",
  ci: true,
  async run(context) {
    const rounds = context.scale(1, 6);
    const violations: Violation[] = [];
    const server = await context.serve();
    // 150 on the SDK; 75 raw ones of the storm; 75 further devices of its users.
    const storm = await context.storm({ address: server.address, sdk: 150, raw: 60, perSecond: 200 });
    const watchedIds = storm.userIds.slice(-75);
    const exitTimes: number[] = [];
    let clean = 0;
    let total = 0;
    for (let round = 0; round < rounds; round++) {
      const watched = await openStreams(context, server.address, watchedIds, `round-${round}`);
      const open = storm.histories.flatMap((history) => openStreamOf(history) ?? []);
      const sdk = storm.clients.filter(({ history, live }) => history.kind === "sdk" && live).length;
      const fromMs = performance.now();
      const how = await server.terminate();
      const tookMs = performance.now() - fromMs;
      exitTimes.push(tookMs);
      if (how !== 0) violations.push({ rule: "I15", text: `the server ended with ${how} after SIGTERM` });
      if (tookMs > graceMs + exitMs)
        violations.push({ rule: "I12", text: `the server ended ${ms(tookMs)} after SIGTERM` });

      await server.start();
      const wrong = [
        ...(await Promise.all(watched.map((stream) => stream.wrong()))).flat(),
        ...open.flatMap(({ history, stream }) => endedWrongly(history, stream)),
        ...storm.histories.filter(({ kind }) => kind === "sdk").flatMap((h) => errorsShown(h, fromMs)),
      ];
      violations.push(...wrong.map((text): Violation => ({ rule: "I14", text })));
      total += watched.length + open.length + sdk;
      clean += watched.length + open.length + sdk - wrong.length;
    }
    violations.push(...(await context.conclude(server)));
    return {
      rounds,
      violations,
      figure: `exit 0 after p50 ${ms(percentile(exitTimes, 50))}, max ${ms(Math.max(...exitTimes))}; ${clean} of ${total} streams ended cleanly; ${storm.reconnects} opened again, ${storm.acknowledged} messages answered`,
    };
  },
};

/** Opens streams whose every event is looked at. */
async function openStreams(
  context: FaultContext,
  address: string,
  userIds: readonly string[],
  deviceId: string,
) {
  const tokens = await logIn(address, userIds, deviceId);
  return Promise.all(
    tokens.map(async (token, n) => {
      const connection = connect(address, token);
      context.defer(() => connection.close());
      const stream = connection.stream();
      await stream.open();
      return {
        /** What was not as it should be at its end. */
        async wrong(): Promise<string[]> {
          const error = await stream.ended;
          const kinds = stream.events.map(({ event }) => event.case);
          const reason = stream.all("closed").at(-1)?.reason;
          connection.close();
          if (error !== undefined) return [`the stream of ${userIds[n]} ended with ${error}`];
          if (!kinds.includes("drain")) return [`the stream of ${userIds[n]} ended without drain`];
          if (kinds.at(-1) !== "closed" || reason !== CloseReason.DRAINED)
            return [`the stream of ${userIds[n]} ended with ${kinds.at(-1)} ${reason}`];
          return [];
        },
      };
    }),
  );
}

/** The number of a raw client's stream that is open. */
function openStreamOf(history: History): { history: History; stream: number } | undefined {
  if (history.kind !== "raw") return undefined;
  const last = history.entries.findLast(({ type }) => type === "opened" || type === "end");
  return last?.type === "opened" ? { history, stream: last.stream } : undefined;
}

/** Says how a stream ended, if not as a drained one. */
function endedWrongly({ client, entries }: History, stream: number): string[] {
  const end = entries.find((entry) => entry.type === "end" && entry.stream === stream);
  if (end?.type !== "end") return [`the stream of ${client} did not end`];
  if (end.error !== undefined) return [`the stream of ${client} ended with ${end.error.code}`];
  return end.closed === "DRAINED" ? [] : [`the stream of ${client} ended with ${end.closed ?? "no reason"}`];
}

/** Codes that say nothing of what was asked, and which the SDK deals with by itself. */
const transientCodes = new Set([
  "UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "CANCELLED",
  "ABORTED",
  "INTERNAL",
  "UNKNOWN",
]);

/** What an application on the SDK had to deal with. */
function errorsShown({ client, entries }: History, fromMs: number): string[] {
  return entries.flatMap((entry) => {
    if (entry.atMs < fromMs || (entry.type !== "unknown" && entry.type !== "fail")) return [];
    const { code, reason, message } = entry.error;
    return transientCodes.has(code) ? [`${client} was shown ${code} ${reason}: ${message}`] : [];
  });
}
