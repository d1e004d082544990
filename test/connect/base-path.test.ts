/** The HTTP port below a path. */

import { get, type IncomingMessage } from "node:http";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { ChatService } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { startTestServer, type TestServer } from "../support/server.ts";

const login = "parlance.chat.v1.ChatService/Login";
let server: TestServer;
let origin: string;

beforeAll(async () => {
  server = await startTestServer({ httpBasePath: "/team/chat" });
  origin = `http://${server.server.httpAddress}`;
});
afterAll(() => server.close());

function ask(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(origin + path, { redirect: "manual", ...init });
}

const asBob = {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: '{"devUserId":"bob"}',
};

test.each(["/team/chat", ""])("all is found below %j", async (path) => {
  expect(await (await ask(`${path}/healthz`)).text()).toBe("ok\n");
  expect(await (await ask(`${path}/readyz`)).text()).toBe("ready\n");
  expect(await (await ask(`${path}/${login}`, asBob)).json()).toMatchObject({ userId: "bob" });
  const document = await ask(`${path}/openapi.json`);
  const { servers } = (await document.json()) as { servers: { url: string }[] };
  expect(servers.map(({ url }) => new URL(url, document.url).href)).toEqual([`${origin}${path}/`]);
});

test("the path itself leads to where relative addresses are right, whatever a proxy has put before it", async () => {
  for (const method of ["GET", "HEAD"]) {
    const { status, headers } = await ask("/team/chat?x=//evil.example", { method });
    expect({ status, location: headers.get("location") }).toEqual({ status: 308, location: "chat/" });
  }
  expect((await ask("/team/chat", asBob)).status).toBe(404);
});

test.each([
  "/team",
  "/team/",
  "/team/chatter/healthz",
  "/TEAM/chat/healthz",
  "/team/chat//healthz",
  "/team/chat/team/chat/healthz",
  "/team%2fchat/healthz",
])("nothing is found at %s", async (path) => {
  expect((await ask(path)).status).toBe(404);
});

test("a request that names its target whole is found too, as those through a proxy do", async () => {
  const path = `${origin}/team/chat/healthz`;
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(origin, { path, agent: false }, resolve).on("error", reject);
  });
  answer.resume();
  expect(answer.statusCode).toBe(200);
});

test("Connect clients take the path with the address, and clients of gRPC need none", async () => {
  const below = createConnectTransport({ httpVersion: "1.1", baseUrl: `${origin}/team/chat/` });
  const { userId } = await createClient(ChatService, below).login({
    credential: { case: "devUserId", value: "carol" },
  });
  expect(userId).toBe("carol");
  const grpc = createGrpcTransport({ baseUrl: origin });
  expect(await createClient(Health, grpc).check({})).toMatchObject({ status: 1 });
});
