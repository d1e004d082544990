import { once } from "node:events";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { createConnection, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { chatServices } from "../../wire/services.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";

let server: TestServer;
let http: string;
let bob: UserClients;
beforeAll(async () => {
  server = await startTestServer();
  http = server.server.httpAddress as string;
  bob = await server.login("bob");
});
afterAll(async () => {
  // Nothing of what follows was carried out, and nothing was left open.
  const { messages } = await bob.messages.listMessages({ target: { case: "recipientId", value: "victim" } });
  expect(messages).toEqual([]);
  await eventually(() => server.server.stats().calls === 0);
  await server.close();
});

const send = "/parlance.chat.v1.ChatService/SendDirect";
/** All but `Stream`, which HTTP/1.1 cannot carry whatever the method. */
const rpcPaths = chatServices.flatMap(({ typeName, methods }) =>
  methods
    .filter(({ methodKind }) => methodKind !== "bidi_streaming")
    .map(({ name }) => `/${typeName}/${name}`),
);
const victim = '{"recipientId":"victim","content":{"text":{"body":"x"}}}';

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  /** The body's error, if it is one. */
  error: { code: string; message: string; reason: string | undefined } | undefined;
}

interface Sent {
  method?: string;
  path?: string;
  headers?: Record<string, string | string[] | undefined>;
  body?: string | Uint8Array;
}

/** Makes a request over HTTP/1.1; headers that are undefined are left out. */
function call({ method = "POST", path = send, headers = {}, body = victim }: Sent): Promise<Answer> {
  const all = { "content-type": "application/json", authorization: `Bearer ${bob.token}`, ...headers };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return new Promise((resolve, reject) => {
    const request = httpRequest(`http://${http}${path}`, { method, headers: given as never, agent: false });
    request.on("error", reject);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("error", reject);
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const received = Buffer.concat(chunks).toString("latin1");
        const { statusCode = 0, headers } = response;
        resolve({ status: statusCode, headers, body: received, error: errorIn(received) });
      });
    });
    request.end(["POST", "PUT", "PATCH"].includes(method) ? body : undefined);
  });
}

function errorIn(body: string): Answer["error"] {
  try {
    const { code, message, details } = JSON.parse(body) as {
      code?: string;
      message: string;
      details?: { debug?: { reason?: string } }[];
    };
    return code === undefined ? undefined : { code, message, reason: details?.[0]?.debug?.reason };
  } catch {
    return undefined;
  }
}

function framed(body: Uint8Array | string, flags = 0): Buffer {
  const bytes = Buffer.from(body as string);
  const prefix = Buffer.from([flags, 0, 0, 0, 0]);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

describe("a request with", () => {
  test.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/json; charset=latin1",
    "application/jsonp",
    "application/connect+json",
    "",
  ])("the content type %s is refused with 415", async (type) => {
    const answer = await call({ headers: { "content-type": type || undefined } });
    expect(answer).toMatchObject({ status: 415, error: { code: "invalid_argument" } });
    expect(answer.error?.message).toContain("application/json");
  });

  test.each(["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])(
    "the method %s is refused with 405",
    async (method) => {
      const query = `?connect=v1&encoding=json&message=${encodeURIComponent(victim)}`;
      const answer = await call({ method, path: send + query });
      expect(answer).toMatchObject({ status: 405, headers: { allow: "POST" } });
      if (method !== "HEAD") expect(answer.error).toMatchObject({ code: "unimplemented" });
    },
  );

  test.each(rpcPaths)("GET on %s is refused with 405: no request ends up in a URL", async (path) => {
    const answer = await call({ method: "GET", path: `${path}?connect=v1&encoding=json&message=%7B%7D` });
    expect(answer).toMatchObject({ status: 405, headers: { allow: "POST" } });
  });

  test.each([
    "/parlance.chat.v1.ChatService/Nothing",
    "/parlance.chat.v1.NoService/SendDirect",
    "/parlance.chat.v1.ChatService/sendDirect",
    "/parlance.chat.v1.ChatService/SendDirect/",
    "//parlance.chat.v1.ChatService/SendDirect",
    "/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/__proto__",
    "/constructor",
  ])("the unknown path %s is refused with 404", async (path) => {
    expect(await call({ path })).toMatchObject({ status: 404, error: { code: "unimplemented" } });
  });

  test("an unknown method in gRPC gets the status of gRPC", async () => {
    const { status, headers } = await call({
      path: "/parlance.chat.v1.ChatService/Nothing",
      headers: { "content-type": "application/grpc-web+proto" },
      body: framed(""),
    });
    expect({ status, grpc: headers["grpc-status"] }).toEqual({ status: 200, grpc: "12" });
  });

  test.each([
    ["is no JSON", "{"],
    ["is no object", "[]"],
    ["is null", "null"],
    ["is empty", ""],
    ["has a wrong type", '{"recipientId":7,"content":{"text":{"body":"x"}}}'],
    ["has an object for text", '{"recipientId":{},"content":{"text":{"body":"x"}}}'],
    [
      "has both of two options",
      '{"recipientId":"victim","content":{"text":{"body":"x"},"custom":{"@type":"a/b"}}}',
    ],
    ["has an Any without its type", '{"recipientId":"victim","content":{"custom":{"value":"AA=="}}}'],
    [
      "has an Any that is no base64",
      '{"recipientId":"victim","content":{"custom":{"@type":"a/b","value":"%"}}}',
    ],
    ["has a lone surrogate", '{"recipientId":"victim","content":{"text":{"body":"\\ud800"}}}'],
    ["is not UTF-8", Buffer.from('{"recipientId":"victim\xff","content":{"text":{"body":"x"}}}', "latin1")],
    ["is 50,000 arrays deep", `${"[".repeat(50_000)}${"]".repeat(50_000)}`],
    ["is 20,000 objects deep", `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`],
  ])("a body that %s is refused with 400", async (_, body) => {
    const answer = await call({ body });
    expect(answer).toMatchObject({ status: 400, error: { code: "invalid_argument" } });
    expect(["UNDECODABLE_REQUEST", "INVALID_REQUEST"]).toContain(answer.error?.reason);
  });

  test("a body of 10 MB is refused, and so is one that unpacks to it", async () => {
    const big = `{"recipientId":"victim","content":{"text":{"body":"${"x".repeat(10_000_000)}"}}}`;
    const bodies: Sent[] = [
      { body: big },
      { body: gzipSync(big), headers: { "content-encoding": "gzip" } },
      {
        body: framed(gzipSync(big), 1),
        headers: { "content-type": "application/grpc-web+json", "grpc-encoding": "gzip" },
      },
    ];
    for (const sent of bodies) {
      const { body } = await call(sent);
      expect(body).toContain(sent.headers?.["grpc-encoding"] ? "grpc-status: 8" : '"resource_exhausted"');
    }
    const listen = await call({ path: "/parlance.chat.v1.ChatService/Listen", body: big });
    expect(listen).toMatchObject({
      status: 429,
      error: { code: "resource_exhausted", reason: "REQUEST_TOO_LARGE" },
    });
  });

  test("an encoding that is not the body's, or unknown, is refused", async () => {
    expect(await call({ headers: { "content-encoding": "gzip" } })).toMatchObject({
      status: 400,
      error: { code: "invalid_argument", reason: "UNDECODABLE_REQUEST" },
    });
    expect(await call({ headers: { "content-encoding": "zstd" } })).toMatchObject({
      error: { code: "unimplemented" },
    });
    expect(await call({ body: gzipSync(victim) })).toMatchObject({
      status: 400,
      error: { code: "invalid_argument", reason: "UNDECODABLE_REQUEST" },
    });
  });

  test.each(["-1", "1.5", "abc", "99999999999", "1e3"])("the timeout %s is refused", async (timeout) => {
    expect(await call({ headers: { "connect-timeout-ms": timeout } })).toMatchObject({
      status: 400,
      error: { code: "invalid_argument", reason: "INVALID_METADATA" },
    });
  });

  test("a malformed grpc-timeout is refused", async () => {
    const headers = { "content-type": "application/grpc-web+json", "grpc-timeout": "-5S" };
    const { body } = await call({ headers, body: framed(victim) });
    expect(body).toContain("grpc-status: 3");
  });

  test("a timeout of years is no timeout of now", async () => {
    const body = '{"userIds":["bob"]}';
    const path = "/parlance.chat.v1.PresenceService/GetPresence";
    expect(await call({ path, body, headers: { "connect-timeout-ms": "9999999999" } })).toMatchObject({
      status: 200,
    });
    const headers = { "content-type": "application/grpc-web+json", "grpc-timeout": "99999999H" };
    expect((await call({ path, headers, body: framed(body) })).body).toContain("grpc-status: 0");
  });

  test("two tokens is refused, whichever is good", async () => {
    for (const [one, two] of [
      [bob.token, "x"],
      ["x", bob.token],
    ]) {
      const { status, body } = await raw(
        `POST ${send} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer ${one}\r\nauthorization: Bearer ${two}\r\nconnection: close\r\ncontent-length: ${victim.length}\r\n\r\n${victim}`,
      );
      expect({ status, reason: body.includes("INVALID_METADATA") }).toEqual({ status: 400, reason: true });
    }
  });

  test("a token in the query is no token", async () => {
    const path = `${send}?access_token=${bob.token}&authorization=Bearer%20${bob.token}`;
    expect(await call({ path, headers: { authorization: undefined } })).toMatchObject({
      status: 401,
      error: { code: "unauthenticated", reason: "MISSING_TOKEN" },
    });
  });

  test("no token is refused before its body is looked at", async () => {
    expect(await call({ headers: { authorization: undefined }, body: "{" })).toMatchObject({
      status: 401,
      error: { reason: "MISSING_TOKEN" },
    });
  });

  test("two messages, or a half one, in gRPC-Web is refused; trailers of a request are not looked at", async () => {
    const headers = { "content-type": "application/grpc-web+json" };
    const two = Buffer.concat([framed(victim), framed(victim)]);
    expect((await call({ headers, body: two })).body).toMatch(/grpc-status: (3|12)/);
    expect((await call({ headers, body: framed(victim).subarray(0, 20) })).body).toMatch(/grpc-status: 3/);
    const trailers = framed("grpc-status: 0\r\n", 0x80);
    expect((await call({ headers, body: trailers })).body).toMatch(/grpc-status: (3|12)/);
    const early = Buffer.concat([trailers, framed('{"recipientId":"tom"}')]);
    expect((await call({ headers, body: early })).body).toMatch(/grpc-status: 3/);
  });

  test("metadata that vouches for a caller changes nothing", async () => {
    const headers = { authorization: undefined, "x-parlance-user": "bob", "parlance-call-id": "1" };
    expect(await call({ headers })).toMatchObject({ status: 401 });
  });

  test("headers of more than 16 KiB is refused", async () => {
    expect(await call({ headers: { "x-large": "x".repeat(17_000) } })).toMatchObject({ status: 431 });
    const session = connectHttp2(`http://${http}`, { maxSendHeaderBlockLength: 1_000_000 });
    onTestFinished(() => session.destroy());
    session.on("error", () => {});
    const stream = session.request({ ":method": "POST", ":path": send, "x-large": "x".repeat(200_000) });
    stream.on("error", () => {});
    let status: unknown;
    stream.on("response", (headers) => {
      status = headers[":status"];
    });
    await new Promise((resolve) => stream.on("close", resolve));
    expect(status).not.toBe(200);
  });

  test("a method over HTTP/1.1 that needs HTTP/2 is refused with 505", async () => {
    const path = "/parlance.chat.v1.ChatService/Stream";
    const answer = await call({
      path,
      headers: { "content-type": "application/connect+json" },
      body: framed("{}"),
    });
    expect(answer).toMatchObject({ status: 505, error: { code: "unimplemented" } });
  });
});

describe("what is unusual and right is taken:", () => {
  const list = "/parlance.chat.v1.MessageService/ListMessages";

  test('64-bit numbers as "12" and as 12', async () => {
    const mark = "/parlance.chat.v1.ConversationService/MarkRead";
    await bob.chat.sendDirect({ recipientId: "zoe", content: text("x") });
    for (const upToSeq of ['"1"', "1"]) {
      const body = `{"conversationId":"d:bob:zoe","upToSeq":${upToSeq}}`;
      expect(await call({ path: mark, body })).toMatchObject({ status: 200 });
    }
    for (const upToSeq of ['"1.5"', "1.5", '"9223372036854775808"', "1e30", '"x"', "true"]) {
      const body = `{"conversationId":"d:bob:zoe","upToSeq":${upToSeq}}`;
      expect(await call({ path: mark, body })).toMatchObject({
        status: 400,
        error: { reason: "UNDECODABLE_REQUEST" },
      });
    }
  });

  test("unknown fields are ignored, as in Protobuf's own encoding", async () => {
    const body = '{"recipientId":"yan","content":{"text":{"body":"x","new":{"a":[1]}}},"unknown":"field"}';
    expect(await call({ body })).toMatchObject({ status: 200 });
  });

  test("the names of the proto", async () => {
    const body = '{"recipient_id":"xia","content":{"text":{"body":"x"}},"client_message_id":"7"}';
    expect(await call({ body })).toMatchObject({ status: 200 });
  });

  test("content of a type that the server does not know, kept as it is", async () => {
    const custom = { "@type": "type.googleapis.com/acme.Order", value: "CJYB" };
    const body = JSON.stringify({ recipientId: "wim", content: { custom, fallbackText: "An order" } });
    expect(await call({ body })).toMatchObject({ status: 200 });
    const { messages } = await bob.messages.listMessages({ target: { case: "recipientId", value: "wim" } });
    expect(messages[0]?.content?.kind).toMatchObject({
      case: "custom",
      value: { typeUrl: "type.googleapis.com/acme.Order", value: Uint8Array.of(8, 150, 1) },
    });
    const inJson = JSON.parse((await call({ path: list, body: '{"recipientId":"wim"}' })).body) as {
      messages: { content: object }[];
    };
    expect(inJson.messages[0]?.content).toEqual({ custom, fallbackText: "An order" });
  });

  test("texts and names with markup, escapes and overrides, delivered as text and nothing else", async () => {
    const hostile = "<script>alert(1)</script>\u001b[2J\u202eevil\u0000\"'&\n\r\u2028";
    const body = JSON.stringify({ recipientId: "vic", content: { text: { body: hostile } } });
    expect(await call({ body })).toMatchObject({
      status: 200,
      headers: { "content-type": "application/json" },
    });
    const listed = await call({ path: list, body: '{"recipientId":"vic"}' });
    expect(JSON.parse(Buffer.from(listed.body, "latin1").toString()).messages[0].content.text.body).toBe(
      hostile,
    );
    for (const name of ["<script>", "a\u202eb", "a\u001bb"]) {
      const group = JSON.stringify({ name, memberIds: [] });
      const answer = await call({ path: "/parlance.chat.v1.GroupService/CreateGroup", body: group });
      expect([200, 400]).toContain(answer.status);
      expect(answer.headers["content-type"]).toBe("application/json");
    }
  });

  test("an answer is packed for who asks for it", async () => {
    for (let n = 0; n < 5; n++)
      await bob.chat.sendDirect({ recipientId: "uma", content: text("x".repeat(2_000)) });
    const { headers, body } = await call({
      path: list,
      headers: { "accept-encoding": "gzip" },
      body: '{"recipientId":"uma"}',
    });
    expect(headers["content-encoding"]).toBe("gzip");
    expect(body.length).toBeLessThan(3_000);
  });
});

describe("a connection", () => {
  test("that says nothing is closed, and 200 of them hinder nobody", async () => {
    const { port } = new URL(`http://${http}`);
    const sockets = await Promise.all(
      Array.from({ length: 200 }, async (_, n) => {
        const socket = createConnection(Number(port), "127.0.0.1");
        socket.on("error", () => {});
        await once(socket, "connect");
        // Silent, half a preface of HTTP/2, half a request.
        if (n % 3 === 1) socket.write("PRI * HT");
        if (n % 3 === 2) socket.write(`POST ${send} HTTP/1.1\r\nhost: loc`);
        return socket.resume();
      }),
    );
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    expect(
      await call({ path: "/parlance.chat.v1.PresenceService/GetPresence", body: '{"userIds":["bob"]}' }),
    ).toMatchObject({ status: 200 });
    await eventually(() => sockets.every(({ destroyed }) => destroyed));
  });

  test("that speaks neither version of HTTP is refused", async () => {
    expect((await raw("\u0016\u0003\u0001 nothing\r\n\r\n")).status).toBe(400);
    expect((await raw("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")).status).toBe(0);
  });

  test("may be given in pieces", async () => {
    const { port } = new URL(`http://${http}`);
    const socket = createConnection(Number(port), "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    for (const piece of ["P", "RI", " /x HTTP/1.1\r\nhost: localhost\r\n", "connection: close\r\n\r\n"]) {
      socket.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect((await received(socket)).status).not.toBe(200);
  });
});

/** Sends bytes and returns what came before the connection was closed. */
async function raw(bytes: string): Promise<{ status: number; body: string }> {
  const { port } = new URL(`http://${http}`);
  const socket = createConnection(Number(port), "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.write(bytes, "latin1");
  return received(socket);
}

async function received(socket: Socket): Promise<{ status: number; body: string }> {
  let body = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    body += chunk;
  });
  socket.on("error", () => {});
  await once(socket, "close");
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(body)?.[1] ?? 0), body };
}
