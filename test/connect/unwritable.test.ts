import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { ChatService } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { createConnectHandler } from "../../src/rpc/connect/connect-handler.ts";
import { mountable } from "../../src/rpc/services.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Serves handlers whose answers no format can tell: they are not of their type. Returns where, and the log. */
async function serve() {
  const logs: Record<string, unknown>[] = [];
  const log = createLogger({ logLevel: "info" } as never, {
    write: (line) => void logs.push(JSON.parse(line)),
  });
  const wrong = { $typeName: "grpc.health.v1.HealthCheckResponse", status: "no number" };
  const { handle } = createConnectHandler({
    services: () => [
      mountable(ChatService, {
        ...Object.fromEntries(ChatService.methods.map(({ localName }) => [localName, async () => wrong])),
        // A `ListenResponse` with an event that ends in its middle.
        async *listen() {
          yield Uint8Array.of(0x0a, 0x05, 0x08);
        },
      }),
    ],
    openServices: [mountable(Health, { check: async () => wrong, list: async () => wrong, watch: () => [] })],
    logins: { resolve: () => ({ userId: "ada" }) } as never,
    log,
    maxRequestBytes: 1_000,
    maxUnaryDeadlineMs: 10_000,
  });
  const server = createServer((request, response) => void handle(request as never, response as never));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const post = (path: string, type: string) =>
    fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${path}`, {
      method: "POST",
      headers: { "content-type": type, authorization: "Bearer x" },
      body: type.endsWith("json") ? "{}" : "",
    });
  return { logs, post };
}

test.each(["application/json", "application/proto"])(
  "an answer that cannot be written as %s is INTERNAL, and logged",
  async (type) => {
    const { logs, post } = await serve();
    expect((await post("grpc.health.v1.Health/Check", type)).status).toBe(500);
    expect(logs.filter(({ level }) => level === "error" || level === 50)).toMatchObject([
      { method: "grpc.health.v1.Health/Check", msg: "an answer could not be written" },
    ]);
  },
);

test("an event that cannot be written as a line of JSON ends `Listen`, and is logged", async () => {
  const { logs, post } = await serve();
  const response = await post("parlance.chat.v1.ChatService/Listen", "application/json");
  expect(await response.text()).toContain('"code":"internal"');
  expect(logs).toMatchObject([
    { method: "parlance.chat.v1.ChatService/Listen", msg: "an answer could not be written" },
  ]);
});
