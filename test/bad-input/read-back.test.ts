import fc from "fast-check";
import { type ClientError, Status } from "nice-grpc";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Accepted, accepted, type Ports, readBack } from "../support/read-back.ts";
import { seed } from "../support/seed.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";
import { anySend } from "./contents.ts";

let server: TestServer;
let ports: Ports;
let ada: UserClients;
beforeAll(async () => {
  server = await startTestServer();
  ports = { grpc: server.address, http: server.server.httpAddress as string };
  ada = await server.login("ada");
});
afterAll(() => server.close());

test("whatever was answered OK is read back equal through gRPC, Connect, gRPC-Web and JSON", async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(anySend("reader"), { minLength: 10, maxLength: 30 }), async (requests) => {
      const recipientId = `reader ${++run}`;
      const sent: Accepted[] = [];
      for (const request of requests) {
        const own = { ...request, recipientId };
        try {
          sent.push(accepted("ada", own, (await ada.chat.sendDirect(own)).result));
        } catch (error) {
          expect((error as ClientError).code).toBe(Status.INVALID_ARGUMENT);
        }
      }
      expect(sent.length).toBeGreaterThan(requests.length / 2);
      expect(await readBack(ports, recipientId, sent)).toEqual([]);
    }),
    { seed: seed(), numRuns: 6 },
  );
});

test("what reads otherwise than it was sent is found in every format", async () => {
  const request = { recipientId: "cy", content: text("as sent") };
  const { result } = await ada.chat.sendDirect(request);
  const other = accepted("ada", { ...request, content: text("as never sent") }, result);
  const found = await readBack(ports, "cy", [other]);
  const calls = ["ListMessages", "GetMessage", "ListConversations", "Listen"];
  const formats = ["gRPC", "gRPC-Web over HTTP/1.1", "Connect over HTTP/2", "Connect, JSON, over HTTP/1.1"];
  expect(found.map(({ where }) => where).sort()).toEqual(
    [...formats.flatMap((format) => calls.map((call) => `${format}, ${call}`)), "JSON lines, Listen"].sort(),
  );
  const missing = { ...other, message: { ...other.message, messageId: "of no message" } };
  expect(await readBack(ports, "cy", [missing])).not.toEqual([]);
});
