/** What the HTTP port has beside the rpcs: health, other origins, the page's files. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest, type IncomingHttpHeaders, type Server } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createSite } from "../../src/http/site.ts";
import { serveFiles } from "../../src/http/static-files.ts";
import { openRawStream } from "../support/raw-peer.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

function call(
  address: string,
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
  body = "",
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`http://${address}`, { path, method, headers, agent: false }, (response) => {
      let received = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        received += chunk;
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: received }),
      );
    });
    request.on("error", reject);
    request.end(body === "" ? undefined : body);
  });
}

const login = "/parlance.chat.v1.ChatService/Login";
const json = { "content-type": "application/json" };
const asBob = '{"devUserId":"bob"}';

test("origins of apps in a web view, and null, may call once they are named", async () => {
  const corsOrigins =
    " HTTPS://Chat.Example:443/ , capacitor://localhost,ionic://localhost, tauri://localhost/, null";
  const server = await startTestServer({ corsOrigins });
  onTestFinished(() => server.close());
  const http = server.server.httpAddress as string;
  for (const origin of [
    "https://chat.example",
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "null",
  ]) {
    const { status, headers } = await call(http, login, { ...json, origin }, "POST", asBob);
    expect({ status, allowed: headers["access-control-allow-origin"] }).toEqual({
      status: 200,
      allowed: origin,
    });
  }
  for (const origin of ["https://chat.example:444", "capacitor://evil", "app://localhost"])
    expect(await call(http, login, { ...json, origin }, "POST", asBob)).toMatchObject({ status: 403 });
});

describe("the HTTP port", () => {
  let server: TestServer;
  let http: string;
  beforeAll(async () => {
    server = await startTestServer({ corsOrigins: "https://chat.example,http://localhost:5173" });
    http = server.server.httpAddress as string;
  });
  afterAll(() => server.close());

  test("says that the process lives and that calls should come here", async () => {
    expect(await call(http, "/healthz")).toMatchObject({ status: 200, body: "ok\n" });
    expect(await call(http, "/readyz")).toMatchObject({ status: 200, body: "ready\n" });
    // A load balancer may ask under any name.
    expect(await call(http, "/readyz", { host: "10.0.0.7:8080" })).toMatchObject({ status: 200 });
  });

  test("serves targets that are written whole, as for a proxy, under the name that they give", async () => {
    for (const [target, status] of [
      [`http://${http}/readyz`, 200],
      ["HTTP://localhost:1234/healthz?x=1", 200],
      [`http://${http}/openapi.json`, 200],
      ["http://[/healthz", 404],
    ] as const)
      expect((await call(http, target)).status, target).toBe(status);
    expect(await call(http, `http://${http}${login}`, json, "POST", asBob)).toMatchObject({ status: 200 });
    // In dev mode no other name is good, whatever the header says.
    const rebound = await call(http, `http://evil.example${login}`, { ...json, host: http }, "POST", asBob);
    expect(rebound.status).toBe(403);
  });

  test.each([
    'application/json; charset="utf-8"',
    "application/json;charset=UTF8",
    "application/json ;  charset = utf-8",
    "Application/JSON; profile=x",
  ])("takes JSON of the content type %s", async (type) => {
    expect(await call(http, login, { "content-type": type }, "POST", asBob)).toMatchObject({ status: 200 });
    const { token } = await server.login("lea");
    const headers = { "content-type": type, authorization: `Bearer ${token}` };
    // As plain JSON it is answered in lines, too.
    const refused = await call(
      http,
      "/parlance.chat.v1.ChatService/Listen",
      headers,
      "POST",
      '{"open":{"replayLimit":-1}}',
    );
    expect(refused.headers["content-type"]).toBe("application/x-ndjson");
    expect(JSON.parse(refused.body)).toMatchObject({ error: { code: "invalid_argument" } });
  });

  test("refuses JSON in another charset", async () => {
    const type = { "content-type": "application/json; charset=utf-16" };
    expect(await call(http, login, type, "POST", asBob)).toMatchObject({ status: 415 });
  });

  test("lets pages send the headers of tracing libraries", async () => {
    const asked = { origin: "https://chat.example", "access-control-request-method": "POST" };
    const { headers } = await call(http, login, asked, "OPTIONS");
    const allowed = headers["access-control-allow-headers"]?.toLowerCase().split(", ");
    expect(allowed).toEqual(
      expect.arrayContaining(["traceparent", "tracestate", "baggage", "b3", "sentry-trace"]),
    );
  });

  test("lets pages of its own and of the set origins call", async () => {
    for (const origin of ["https://chat.example", "http://localhost:5173"]) {
      const { status, headers } = await call(http, login, { ...json, origin }, "POST", asBob);
      expect({ status, headers }).toMatchObject({
        status: 200,
        headers: { "access-control-allow-origin": origin, vary: "Origin" },
      });
      expect(headers["access-control-expose-headers"]).toContain("Grpc-Status");
      const asked = {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
      };
      const preflight = await call(http, login, asked, "OPTIONS");
      expect(preflight.status).toBe(204);
      expect(preflight.headers["access-control-allow-headers"]).toMatch(/Authorization/);
    }
    const own = await call(http, login, { ...json, origin: `http://${http}` }, "POST", asBob);
    expect(own.status).toBe(200);
    expect(own.headers["access-control-allow-origin"]).toBeUndefined();
  });

  test.each(["https://evil.example", "https://chat.example.evil.example", "http://chat.example", "null"])(
    "refuses pages of %s",
    async (origin) => {
      const asked = { origin, "access-control-request-method": "POST" };
      for (const answer of [
        await call(http, login, { ...json, origin }, "POST", asBob),
        await call(http, login, asked, "OPTIONS"),
      ]) {
        expect(answer.status).toBe(403);
        expect(JSON.parse(answer.body)).toMatchObject({ code: "permission_denied" });
        expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
      }
    },
  );

  test("answers in dev mode to names of this machine only, so that no other site can pose as it", async () => {
    for (const host of ["rebound.example", "rebound.example:8080", "127.0.0.1.example"]) {
      expect(await call(http, login, { ...json, host }, "POST", asBob)).toMatchObject({ status: 403 });
    }
    for (const host of ["localhost:8080", "127.0.0.1", "[::1]:8080"]) {
      expect(await call(http, login, { ...json, host }, "POST", asBob)).toMatchObject({ status: 200 });
    }
  });

  test("gives out the OpenAPI document", async () => {
    const { status, headers, body } = await call(http, "/openapi.json");
    expect({ status, type: headers["content-type"] }).toEqual({ status: 200, type: "application/json" });
    expect(JSON.parse(body)).toMatchObject({ openapi: "3.1.0" });
  });
});

test("readyz says no while the server stops, and healthz goes on to say yes", async () => {
  const server = await startTestServer({ drainGraceMs: 5_000 });
  const { httpAddress } = server.server;
  // A session whose reader takes nothing keeps the server from closing.
  const eve = await server.login("eve");
  const peer = await openRawStream(server.address, eve.token);
  onTestFinished(() => peer.close());
  for (let n = 0; n < 100; n++)
    await eve.chat.sendDirect({ recipientId: "ann", content: text("x".repeat(16_000)) });
  const session = connectHttp2(`http://${httpAddress}`);
  onTestFinished(() => session.destroy());
  await new Promise((resolve) => session.once("connect", resolve));
  const ask = (path: string) =>
    new Promise<number>((resolve, reject) => {
      const request = session.request({ ":path": path });
      request.on("response", (headers) => resolve(Number(headers[":status"])));
      request.on("error", reject);
      request.resume();
    });
  expect(await ask("/readyz")).toBe(200);
  const closing = server.close();
  expect(await ask("/readyz")).toBe(503);
  expect(await ask("/healthz")).toBe(200);
  session.destroy();
  await closing;
});

test("HTTP can be switched off", async () => {
  const server = await startTestServer({ http: false });
  expect(server.server.httpAddress).toBeUndefined();
  await server.close();
});

describe("files of the web page", () => {
  const folder = mkdtempSync(join(tmpdir(), "parlance-page-"));
  let server: Server;
  let address: string;
  beforeAll(async () => {
    const page = join(folder, "web");
    mkdirSync(join(page, "assets"), { recursive: true });
    writeFileSync(join(folder, "secret.txt"), "secret");
    writeFileSync(join(page, "index.html"), "<!doctype html>");
    writeFileSync(join(page, "assets/index-D1x2y3Z4.js"), "export {}");
    writeFileSync(join(page, ".env"), "secret");
    symlinkSync(join(folder, "secret.txt"), join(page, "link.txt"));
    const site = createSite({
      rpcs: { handle: () => false },
      isServing: () => true,
      corsOrigins: [],
      loopbackOnly: true,
      files: serveFiles(page),
    });
    server = createServer(site);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  test("have their types, and a policy that lets nothing foreign in", async () => {
    const { status, headers, body } = await call(address, "/");
    expect({ status, body }).toEqual({ status: 200, body: "<!doctype html>" });
    expect(headers).toMatchObject({
      "content-type": "text/html;charset=utf-8",
      "x-content-type-options": "nosniff",
      "cache-control": "no-cache",
    });
    const policy = headers["content-security-policy"] as string;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
  });

  test("are kept for good when their name has a hash, and asked for again otherwise", async () => {
    const script = await call(address, "/assets/index-D1x2y3Z4.js");
    expect(script.headers["cache-control"]).toContain("immutable");
    expect(script.headers["content-type"]).toMatch(/^text\/javascript/);
    const { headers } = await call(address, "/");
    expect(await call(address, "/", { "if-none-match": headers.etag as string })).toMatchObject({
      status: 304,
      body: "",
    });
  });

  test.each([
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/..%2fsecret.txt",
    "/assets/../../secret.txt",
    "/.env",
    "/%00",
    "/%",
    "/assets",
    "/nothing.js",
    "//etc/passwd",
  ])("do not include %s", async (path) => {
    const { status, body } = await call(address, path);
    expect(status).toBe(404);
    expect(body).not.toContain("secret");
  });

  test("are not written", async () => {
    for (const method of ["POST", "PUT", "DELETE"])
      expect(await call(address, "/", {}, method)).toMatchObject({ status: 404 });
  });
});
