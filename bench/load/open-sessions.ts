import { create, toBinary } from "@bufbuild/protobuf";
import { StreamRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { EventCounts } from "./events.ts";
import type { Failure } from "./failure.ts";
import { Http2Connection } from "./http2-connection.ts";
import { Session } from "./session.ts";

/** How many are opened at a time: as many as a backlog of connections takes. */
const atOnce = 100;

/** How to open many sessions. */
export interface OpenOptions {
  address: string;
  failure: Failure;
  /** A token for each session, or undefined where none is asked for. */
  tokens: ReadonlyArray<string | undefined>;
  /** How many sessions share a connection. Default 1. */
  perConnection?: number;
  /** Where all count what they receive. Default: each for itself. */
  counts?: EventCounts;
}

/** Opens many sessions and resolves with them, in the order of their tokens, once all are live. */
export async function openSessions({
  address,
  failure,
  tokens,
  perConnection = 1,
  counts,
}: OpenOptions): Promise<Session[]> {
  const sessions: Session[] = [];
  const connections: Array<Promise<Http2Connection>> = [];
  const queue = tokens.entries();
  async function openSome(): Promise<void> {
    for (const [i, token] of queue) {
      const number = Math.floor(i / perConnection);
      connections[number] ??= Http2Connection.connect(address);
      sessions[i] = await Session.open(await connections[number], {
        token,
        failure,
        ...(counts && { counts }),
      });
    }
  }
  await failure.during(Promise.all(Array.from({ length: atOnce }, openSome)));
  return sessions;
}

/** Sessions that are about to be opened all at once. */
export interface Resuming {
  /** Those that are open. */
  sessions: Session[];
  /** Opens them and resolves once all have caught up. */
  start: () => Promise<void>;
}

const resumeRequest = toBinary(
  StreamRequestSchema,
  create(StreamRequestSchema, {
    requestId: "open",
    request: { case: "open", value: { replayLimit: 10_000 } },
  }),
);

/** Makes a connection for each of many devices, to have all of them ask for what they missed at once. */
export async function resumeSessions({ address, failure, tokens, counts }: OpenOptions): Promise<Resuming> {
  const connections: Http2Connection[] = [];
  const queue = tokens.keys();
  async function connectSome(): Promise<void> {
    for (const i of queue) connections[i] = await Http2Connection.connect(address);
  }
  await Promise.all(Array.from({ length: atOnce }, connectSome));
  const sessions: Session[] = [];
  async function resume(token: string | undefined, i: number): Promise<void> {
    const options = { token, failure, openRequest: resumeRequest, ...(counts && { counts }) };
    const session = await Session.start(connections[i] as Http2Connection, options);
    sessions.push(session);
    await session.caughtUp();
  }
  return { sessions, start: async () => void (await Promise.all(tokens.map(resume))) };
}

/** Closes the connections of sessions. */
export function closeSessions(sessions: readonly Session[]): void {
  for (const session of sessions) session.close();
}
