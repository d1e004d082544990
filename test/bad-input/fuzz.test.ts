/**
 * Sends what nobody would write down: random bytes, valid requests with flipped
 * bits, and requests whose every field is valid Protobuf but nonsense.
 */

import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { StreamRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { JoinPolicy } from "../../gen/parlance/chat/v1/group_pb.js";
import { failureIn } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";
import { seed } from "../support/seed.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";
import { anyCall, bytesOf, groupIds, ids, mutated, noise, serverFaults } from "./arbitraries.ts";
import { createRawClient, encode, type RawClient } from "./raw-calls.ts";

let server: TestServer;
let alice: UserClients;
let bob: UserClients;
let raw: RawClient;

beforeAll(async () => {
  server = await startTestServer();
  [alice, bob] = await Promise.all([server.login("alice"), server.login("bob")]);
  raw = createRawClient(server.address, { authorization: `Bearer ${alice.token}` });
  for (const groupId of groupIds)
    await alice.groups.createGroup({ groupId, joinPolicy: JoinPolicy.OPEN, memberIds: ["bob"] });
  const { result } = await alice.chat.sendGroup({ groupId: "team-0", content: text("hi") });
  const stream = alice.stream();
  const { cursor } = await stream.open();
  stream.cancel();
  ids.messageId = result?.messageId ?? "";
  ids.epoch = cursor?.epoch ?? "";
});
afterAll(async () => {
  raw.close();
  await server.close();
});

test("no request of a unary method, however strange, is a fault of the server", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyCall, { minLength: 1, maxLength: 20, size: "max" }), async (calls) => {
      const failures = await Promise.all(calls.map(({ path, request }) => raw.unary(path, request)));
      for (const [i, failure] of failures.entries())
        expect({ ...calls[i], code: failure?.code }).not.toMatchObject({
          code: expect.toBeOneOf(serverFaults),
        });
    }),
    { seed: seed(), numRuns: 100, endOnFailure: true },
  );
  const { result } = await bob.chat.sendDirect({ recipientId: "dora", content: text("still here") });
  expect(result?.seq).toBe(1n);
});

test("no request of a stream, however strange, is a fault of the server or ends the stream", async () => {
  const valid = bytesOf(StreamRequestSchema);
  const request = fc.oneof({ weight: 4, arbitrary: valid }, { weight: 2, arbitrary: mutated(valid) }, noise);
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 30, size: "max" }), async (requests) => {
      const stream = raw.stream();
      try {
        for (const bytes of requests) stream.send(bytes);
        const last = "the last of them all";
        stream.send(encode(StreamRequestSchema, { requestId: last, request: { case: "ping", value: {} } }));
        const answered = () => stream.events.some(({ requestId }) => requestId === last);
        await eventually(() => answered() || stream.failure() !== undefined);
        expect(stream.failure()).toBeUndefined();
        for (const { event } of stream.events)
          if (event.case === "refusal") expect(serverFaults).not.toContain(failureIn(event.value).code);
      } finally {
        stream.cancel();
      }
    }),
    { seed: seed(), numRuns: 40, endOnFailure: true },
  );
  await eventually(() => server.server.stats().sessions === 0);
});

test("nothing of all that was an error to the server", () => {
  expect(server.logs.filter(({ level }) => level !== "info")).toEqual([]);
});
