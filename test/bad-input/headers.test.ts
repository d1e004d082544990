/** Headers and targets that no client should send, against a server's process: a typed answer, and the server goes on. */

import { connect as connectHttp2 } from "node:http2";
import { connect as dial } from "node:net";
import { connect as dialTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Nginx, nginxMissing, startNginx } from "../deploy/nginx.ts";
import { connect, logIn } from "../support/connect.ts";
import { eventually } from "../support/eventually.ts";
import { makeDataDir, type ServeChild, startServe } from "../support/serve-child.ts";
import { text } from "../support/server.ts";
import { callRaw, FramePeer, FrameType, headerFields } from "./raw-http2.ts";

const loginPath = "/parlance.chat.v1.ChatService/Login";
const sendPath = "/parlance.chat.v1.ChatService/SendDirect";
const listenPath = "/parlance.chat.v1.ChatService/Listen";
const healthPath = "/grpc.health.v1.Health/Check";
const asAlice = '{"devUserId":"alice"}';

let dataDir: ReturnType<typeof makeDataDir>;
let serve: ServeChild;
let token: string;
let ended: unknown;
beforeAll(async () => {
  dataDir = makeDataDir();
  serve = await startServe(dataDir.path);
  void serve.exited.then((how) => {
    ended = how;
  });
  [token = ""] = await logIn(serve.address, ["alice"]);
});
afterAll(async () => {
  await serve.kill();
  dataDir.remove();
});

/** Sends bytes to the HTTP port and returns all that is answered before the server closes. */
function exchange(bytes: Buffer, open = () => dial(portOf(serve.httpAddress), "127.0.0.1")): Promise<string> {
  return new Promise((resolve) => {
    const socket = open();
    let answer = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      answer += chunk;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
    socket.write(bytes);
  });
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

/** A request of HTTP/1.1 after which the server closes. Text stands for bytes, a character each. */
function request(line: string, headers: readonly string[], body = ""): Buffer {
  const all = ["Host: localhost", "Connection: close", `Content-Length: ${body.length}`, ...headers];
  return Buffer.from(`${line} HTTP/1.1\r\n${all.join("\r\n")}\r\n\r\n${body}`, "latin1");
}

function post(path: string, headers: readonly string[], body = "{}"): Buffer {
  return request(`POST ${path}`, ["Content-Type: application/json", ...headers], body);
}

/** The server lives, complains of nothing, and still serves. */
async function expectWell(): Promise<void> {
  const alice = connect(serve.address, token);
  onTestFinished(() => alice.close());
  await alice.chat.sendDirect({ recipientId: "bob", content: text("still here") });
  expect({ ended, problems: serve.problems() }).toEqual({ ended: undefined, problems: [] });
}

const utf8 = Buffer.from("Zoë 茶 🍵").toString("latin1");
/** Headers that the server has no use for, which HTTP lets pass. */
const oddHeaders = [
  "User-Agent: Zo\xeb",
  `X-Name: ${utf8}`,
  "X-Tab: a\tb",
  "x!y: z",
  "x#$%&'*+.^_`|~: z",
  "X-Bytes: \x80\xff",
  "Cookie: \xff\xfe",
  `X-Long: ${"\xe9".repeat(5_000)}`,
  "__proto__: x",
  "constructor: x",
];

describe("over HTTP/1.1", () => {
  test.each(oddHeaders)(
    "B49: a header that the server does not read changes no answer: %j",
    async (header) => {
      expect(await exchange(post(loginPath, [header], asAlice))).toMatch(/^HTTP\/1\.1 200 .*"sessionToken"/s);
      expect(await exchange(post(healthPath, [header]))).toMatch(/^HTTP\/1\.1 200 .*SERVING/s);
      expect(await exchange(request("GET /", [header]))).toMatch(/^HTTP\/1\.1 (200|404) /);
      expect(await exchange(request("GET /healthz", [header]))).toMatch(/^HTTP\/1\.1 200 /);
      await expectWell();
    },
  );

  test.each([
    ["authorization", "Authorization: Bearer Zo\xeb"],
    ["authorization", "Authorization: Bearer a\tb"],
    ["parlance-device", `Parlance-Device: ${utf8}`],
    ["connect-timeout-ms", "Connect-Timeout-Ms: \xb2"],
    ["content-encoding", "Content-Encoding: gzip\xa0"],
  ])("a value of %s that is not printable ASCII is refused by name", async (key, header) => {
    for (const path of [sendPath, listenPath, loginPath, healthPath]) {
      const answer = await exchange(post(path, [header]));
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(answer).toContain(`the metadata ${key} may consist of printable ASCII characters only`);
      expect(answer).toContain("INVALID_METADATA");
    }
    await expectWell();
  });

  test.each([
    "bytes=5-2",
    "bytes=-",
    "bytes=-0",
    "bytes=99999999999999999999-1",
    "bytes=0-0,1-1",
    "x",
    "bytes=\xff",
  ])("B50: a range that no file has does no harm: %j", async (range) => {
    for (const path of ["/", "/index.html", "/openapi.json", "/healthz", "/nowhere"])
      expect(await exchange(request(`GET ${path}`, [`Range: ${range}`]))).toMatch(/^HTTP\/1\.1 (200|404) /);
    await expectWell();
  });

  test.each([
    "/%",
    "/%E0%A4%A",
    "/%00",
    "//",
    "/../../etc/passwd",
    "/__proto__",
    "/constructor",
    "/\xe9",
    "/?\xff",
    `/${"a".repeat(9_000)}`,
    "*",
  ])("B50: a target that leads nowhere is told so: %j", async (target) => {
    for (const method of ["GET", "HEAD", "POST", "OPTIONS", "DELETE", "PROPFIND"])
      expect(await exchange(request(`${method} ${target}`, []))).toMatch(/^HTTP\/1\.1 (400|404|405) /);
    await expectWell();
  });

  test("a page of another origin cannot end a server by a request that browsers make unasked", async () => {
    const noCors = ["Origin: https://evil.example", "Sec-Fetch-Mode: no-cors", "Range: bytes=5-2", "x!y: z"];
    expect(await exchange(request("GET /", noCors))).toMatch(/^HTTP\/1\.1 403 /);
    await expectWell();
  });
});

describe("over HTTP/2", () => {
  test.each(oddHeaders)("a header that the server does not read changes no answer: %j", async (header) => {
    const [name = "", value = ""] = header.toLowerCase().split(/: (.*)/s);
    for (const address of [serve.httpAddress, serve.address]) {
      const peer = await FramePeer.connect(address);
      onTestFinished(() => peer.destroy());
      peer.call(1, healthPath, [[name, value]]);
      await eventually(() => peer.framesOf(FrameType.DATA).length > 0 || peer.closed);
      const [answer] = peer.framesOf(FrameType.DATA);
      // The prefix of gRPC and SERVING: `status = 1`.
      expect(answer?.payload).toEqual(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
    }
    await expectWell();
  });

  test.each([
    ["authorization", "Bearer Zoë"],
    ["authorization", "Bearer a\tb"],
    ["parlance-device", "caf\u00e9"],
  ])("a value of %s that is not printable ASCII is refused by name: %j", async (key, value) => {
    for (const address of [serve.address, serve.httpAddress]) {
      const outcome = await callRaw(address, {
        headers: { ":path": sendPath, authorization: `Bearer ${token}`, [key]: value },
        body: Buffer.alloc(5),
      });
      expect(outcome).toMatchObject({
        http: 200,
        code: "INVALID_ARGUMENT",
        reason: "INVALID_METADATA",
        message: `the metadata ${key} may consist of printable ASCII characters only`,
      });
    }
    await expectWell();
  });

  test.each([
    { ":path": "constructor" },
    { ":path": "" },
    { ":path": "/\xff" },
    { ":scheme": "\xff" },
    { ":authority": "\xff @[:" },
    { ":method": "CONNECT" },
    { ":method": "G\xcbT" },
    { ":status": "200" },
  ])("B50: pseudo-headers that make no request do no harm: %j", async (odd) => {
    const usual = { ":method": "POST", ":scheme": "http", ":path": healthPath, ":authority": "localhost" };
    const fields = Object.entries({ ...usual, ...odd });
    const type = ["content-type", "application/grpc"] as const;
    for (const block of [fields, [...fields, ...fields], fields.slice(1), []]) {
      for (const address of [serve.httpAddress, serve.address]) {
        const peer = await FramePeer.connect(address);
        onTestFinished(() => peer.destroy());
        peer.send(FrameType.HEADERS, 4, 1, headerFields([...block, type]));
        peer.send(FrameType.DATA, 1, 1, Buffer.alloc(5));
        peer.call(3, healthPath, []);
        await eventually(() => peer.closed || peer.received.some(({ streamId }) => streamId === 3));
      }
    }
    await expectWell();
  });

  test("a request without authority is answered", async () => {
    const session = connectHttp2(`http://${serve.httpAddress}`);
    onTestFinished(() => session.destroy());
    const peer = await FramePeer.connect(serve.httpAddress);
    onTestFinished(() => peer.destroy());
    const fields = [
      [":method", "POST"],
      [":scheme", "http"],
      [":path", healthPath],
      ["content-type", "application/grpc"],
      ["host", "localhost"],
    ] as const;
    peer.send(FrameType.HEADERS, 4, 1, headerFields(fields));
    peer.send(FrameType.DATA, 1, 1, Buffer.alloc(5));
    await eventually(() => peer.framesOf(FrameType.DATA).length > 0);
    await expectWell();
  });
});

test("through nginx, which tries all nodes in turn, none of this ends a node", async ({ skip }) => {
  skip(nginxMissing !== undefined, nginxMissing);
  // With auth = dev only requests that name localhost are answered, as the host given here is.
  const node = { grpc: serve.address, http: serve.httpAddress };
  const nginx = await startNginx([node, node, node]);
  onTestFinished(nginx.close);
  for (const header of [...oddHeaders, "Range: bytes=5-2", "Authorization: Bearer \xff"]) {
    const answer = await exchange(post(loginPath, [header], asAlice), () => openTls(nginx));
    expect(answer).toMatch(/^HTTP\/1\.1 (200|400) /);
  }
  await expectWell();
});

function openTls({ httpPort, certificate }: Nginx) {
  return dialTls({ port: httpPort, host: "localhost", ca: certificate.cert, ALPNProtocols: ["http/1.1"] });
}
