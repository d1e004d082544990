/** What becomes of connections: TLS, peers that are gone, requests that never end. */

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { FramePeer, FrameType } from "../bad-input/raw-http2.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

async function start(overrides: Partial<Config>): Promise<TestServer & { http: string }> {
  const server = await startTestServer(overrides);
  onTestFinished(() => server.close());
  return Object.assign(Object.create(server) as TestServer, { http: server.server.httpAddress as string });
}

describe("with a certificate", () => {
  const folder = mkdtempSync(join(tmpdir(), "parlance-tls-"));
  const [tlsCertFile, tlsKeyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"];
  execFileSync("openssl", [...make, "-keyout", tlsKeyFile, "-out", tlsCertFile], { stdio: "ignore" });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("the port speaks HTTP/1.1 and HTTP/2, whichever the client asks for", async () => {
    const { http } = await start({ tlsCertFile, tlsKeyFile });
    const ca = readFileSync(tlsCertFile);
    const url = `https://${http}`;
    const body = '{"devUserId":"bob"}';
    const path = "/parlance.chat.v1.ChatService/Login";
    const headers = { "content-type": "application/json", host: "localhost" };
    const options = { ca, servername: "localhost", checkServerIdentity: () => undefined };

    const request = httpsRequest(url, { ...options, path, method: "POST", headers, agent: false });
    request.end(body);
    const [response] = await once(request, "response");
    expect(response).toMatchObject({ statusCode: 200, httpVersion: "1.1" });
    response.resume();

    const session = connectHttp2(url, options);
    onTestFinished(() => session.destroy());
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      ":authority": "localhost",
      "content-type": "application/json",
    });
    stream.end(body);
    const [answer] = await once(stream, "response");
    expect(answer[":status"]).toBe(200);
    stream.resume();
  });
});

test("a peer that answers no pings is cut off, and its user is offline", async () => {
  const { http, server, login } = await start({ keepaliveTimeMs: 300, keepaliveTimeoutMs: 300 });
  const { token } = await login("bob");
  const peer = await FramePeer.connect(http);
  onTestFinished(() => peer.destroy());
  const headers: [string, string][] = [["authorization", `Bearer ${token}`]];
  peer.call(1, "/parlance.chat.v1.ChatService/Listen", headers);
  await eventually(() => server.stats().sessions === 1);
  await eventually(() => peer.closed);
  await eventually(() => server.stats().sessions === 0 && server.stats().calls === 0);
});

test.each([
  ["PING", Buffer.alloc(8)],
  ["SETTINGS", Buffer.alloc(0)],
] as const)("B19: a flood of %s ends the connection", async (kind, payload) => {
  const { http } = await start({});
  const peer = await FramePeer.connect(http);
  onTestFinished(() => peer.destroy());
  for (let n = 0; n < 2_000; n++) peer.send(FrameType[kind], 0, 0, payload);
  await eventually(() => peer.closed);
});

test("a connection of HTTP/2 without a call is closed after its time", async () => {
  const { http } = await start({ keepaliveTimeMs: 100, maxConnectionIdleMs: 1_000 });
  const session = connectHttp2(`http://${http}`);
  onTestFinished(() => session.destroy());
  await once(session, "close");
});

test("a request that never ends is ended", async () => {
  const { http, server, login } = await start({ maxUnaryDeadlineMs: 300 });
  const { token } = await login("bob");
  for (const method of ["ChatService/SendDirect", "ChatService/Listen", "PresenceService/GetPresence"]) {
    for (const type of ["application/grpc", "application/connect+json", "application/json"]) {
      const session = connectHttp2(`http://${http}`);
      session.on("error", () => {});
      onTestFinished(() => session.destroy());
      const stream = session.request({
        ":method": "POST",
        ":path": `/parlance.chat.v1.${method}`,
        "content-type": type,
        authorization: `Bearer ${token}`,
      });
      stream.on("error", () => {});
      stream.resume();
      stream.write("{");
    }
  }
  await eventually(() => server.stats().calls === 0);
});

test("100 calls at a time are taken on one connection, as on the gRPC port", async () => {
  const { http } = await start({});
  const peer = await FramePeer.connect(http);
  onTestFinished(() => peer.destroy());
  await eventually(() => peer.framesOf(FrameType.SETTINGS).length > 0);
  const settings = peer.framesOf(FrameType.SETTINGS)[0]?.payload as Buffer;
  const values = new Map<number, number>();
  for (let i = 0; i + 6 <= settings.length; i += 6)
    values.set(settings.readUInt16BE(i), settings.readUInt32BE(i + 2));
  expect(values.get(3)).toBe(100);
  expect(values.get(6)).toBe(16_384);
});
