import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { createServer, ServerError, type ServerMiddleware } from "nice-grpc";
import { expect, onTestFinished, test } from "vitest";
import { connect, ErrorReason, type ParlanceError } from "../../clients/typescript/index.ts";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { ChatError, createParlance } from "../../src/index.ts";
import { toStatus } from "../../src/net/errors.ts";
import { temporaryFolder } from "./server.ts";

const retryAfterMs = 150;

/** Starts a server that refuses the first calls of each method, saying when to come again. */
async function startLimited(refusals: number) {
  const folder = await temporaryFolder();
  const parlance = await createParlance({ store: join(folder.path, "chat.db"), auth: "dev" });
  /** When each method was called, on the monotonic clock. */
  const called = new Map<string, number[]>();
  const limit: ServerMiddleware = async function* middleware(call, context) {
    const times = called.get(call.method.path) ?? [];
    called.set(call.method.path, times);
    times.push(performance.now());
    if (times.length > refusals) return yield* call.next(call.request, context);
    const error = new ChatError(ErrorReason.GROUP_FULL, "come again", { retryAfterMs });
    const status = toStatus(error, () => {});
    context.trailer.set("grpc-status-details-bin", toBinary(StatusSchema, status));
    throw new ServerError(status.code, status.message);
  };
  const server = createServer(parlance.serverOptions).use(limit);
  parlance.mount(server);
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(async () => {
    await parlance.shutdown(server, 1_000);
    await folder.remove();
  });
  return { address: `127.0.0.1:${port}`, called };
}

test("logins, streams and calls that are refused for now wait as they are told, and go on", async () => {
  const { address, called } = await startLimited(2);
  const client = await connect({ address, credentials: { devUserId: "ada" }, backoff: { capMs: 10 } });
  await client.sendDirect("bob", "over the stream");
  // It is not repeated when its outcome is unknown; here it is known.
  await client.groups.createGroup({ groupId: "g" });
  await client.conversations.listConversations({});
  await client.close();
  expect([...called.keys()].map((path) => path.split("/")[2]).sort()).toEqual(
    ["CreateGroup", "ListConversations", "Login", "Stream"].sort(),
  );
  for (const times of called.values()) {
    expect(times).toHaveLength(3);
    for (const [n, time] of times.slice(1).entries())
      expect(time - (times[n] as number)).toBeGreaterThanOrEqual(retryAfterMs - 5);
  }
});

test("who cannot connect in time is told what the server said", async () => {
  const { address } = await startLimited(1_000);
  const connecting = connect({ address, credentials: { devUserId: "ada" }, connectTimeoutMs: 500 });
  const error = await connecting.catch((reason: ParlanceError) => reason);
  expect(error).toMatchObject({ reason: ErrorReason.GROUP_FULL, retryAfterMs });
});
