import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { createConnection } from "node:net";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { StreamRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";
import { TestStream } from "../support/test-stream.ts";
import { connectFailure, httpClients, type Way, ways } from "./clients.ts";

let server: TestServer;
let http: string;
beforeAll(async () => {
  server = await startTestServer();
  http = server.server.httpAddress as string;
});
afterAll(() => server.close());

let users = 0;
let bob: UserClients;
beforeEach(async () => {
  bob = await server.login(`bob${++users}`);
});

function clientsOf(way: Way, { token }: UserClients, address = http) {
  const clients = httpClients(way, address, { authorization: `Bearer ${token}` });
  onTestFinished(() => clients.close());
  return clients;
}

function openStream(way: Way, user: UserClients): TestStream {
  const { chat } = clientsOf(way, user);
  return new TestStream(
    (requests, signal) =>
      chat.stream(requests as AsyncIterable<MessageInitShape<typeof StreamRequestSchema>>, {
        signal,
      }) as never,
  );
}

const all = Object.keys(ways) as Way[];
const both = all.filter((way) => ways[way].both);
const nothing = () => {
  const { sessions, calls } = server.server.stats();
  return sessions === 0 && calls === 0;
};

describe("Stream goes both ways by", () => {
  test.each(both)("%s", async (way) => {
    const stream = openStream(way, bob);
    await stream.open();
    await stream.next("caughtUp");
    stream.send({ case: "sendDirect", value: { recipientId: "ann", content: text("one") } }, "r1");
    expect(await stream.next("sent")).toMatchObject({ seq: 1n });
    stream.send({ case: "sendDirect", value: { recipientId: "", content: text("x") } }, "r2");
    expect(await stream.next("refusal")).toMatchObject({ status: { code: 3 } });
    stream.send({ case: "ping", value: {} });
    await stream.next("pong");
    expect(stream.texts()).toEqual(["one"]);
    stream.halfClose();
    expect(await stream.ended).toBeUndefined();
    await eventually(nothing);
  });
});

test("a request that cannot be read ends a Stream with a typed error", async () => {
  const session = connectHttp2(`http://${http}`);
  onTestFinished(() => session.destroy());
  const call = session.request({
    ":method": "POST",
    ":path": "/parlance.chat.v1.ChatService/Stream",
    "content-type": "application/connect+json",
    authorization: `Bearer ${bob.token}`,
  });
  call.write(envelope('{"open":{}}'));
  let received = "";
  call.setEncoding("latin1").on("data", (chunk) => {
    received += chunk;
  });
  await eventually(() => received.includes("caughtUp"));
  call.write(envelope('{"ping":'));
  await new Promise((resolve) => call.once("end", resolve));
  expect(received).toContain('"code":"invalid_argument"');
  expect(received).toContain("UNDECODABLE_REQUEST");
  call.close();
  await eventually(nothing);
});

function envelope(body: string): Buffer {
  const bytes = Buffer.from(body);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

describe("Listen delivers what is sent, once and in order, by", () => {
  test.each(all)("%s", async (way) => {
    const abort = new AbortController();
    const events: ServerEvent[] = [];
    const { chat } = clientsOf(way, bob);
    const listening = (async () => {
      for await (const response of chat.listen({}, { signal: abort.signal })) events.push(...response.events);
    })().catch((error: unknown) => {
      if (!abort.signal.aborted) throw error;
    });
    await eventually(() => events.some(({ event }) => event.case === "caughtUp"));
    const sent: string[] = [];
    await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const { result } = await bob.chat.sendDirect({
          recipientId: "ann",
          content: text(`${n}`.repeat(500)),
        });
        sent[Number(result?.seq)] = `${n}`.repeat(500);
      }),
    );
    const texts = () =>
      events.flatMap(({ event }) =>
        event.case === "message" && event.value.content?.kind.case === "text"
          ? [event.value.content.kind.value.body]
          : [],
      );
    await eventually(() => texts().length >= 40);
    expect(texts()).toEqual(sent.slice(1));
    abort.abort();
    await listening;
    await eventually(nothing);
  });

  test("plain JSON, a line for each response", async () => {
    const { lines, close } = listenInLines(bob.token);
    await eventually(() => lines().some((line) => line.includes("caughtUp")));
    await bob.chat.sendDirect({ recipientId: "ann", content: text("<script>\u202e\u001b[2J") });
    await eventually(() => lines().some((line) => line.includes('"message"')));
    const events = lines().flatMap((line) => (JSON.parse(line) as { events: object[] }).events);
    expect(events.at(-1)).toMatchObject({
      message: { seq: "1", content: { text: { body: "<script>\u202e\u001b[2J" } } },
    });
    close();
    await eventually(nothing);
  });

  test("plain JSON, whose last line is the error that ends it", async () => {
    const { lines } = listenInLines(bob.token);
    await eventually(() => lines().some((line) => line.includes("caughtUp")));
    await bob.chat.logout({ allDevices: true });
    await eventually(() => lines().at(-1)?.includes("error") ?? false);
    expect(JSON.parse(lines().at(-1) ?? "")).toMatchObject({
      error: { code: "unauthenticated", details: [{ debug: { reason: "SESSION_LOGGED_OUT" } }] },
    });
    await eventually(nothing);
  });
});

function listenInLines(token: string, headers: Record<string, string> = {}) {
  let received = "";
  const request = httpRequest(`http://${http}/parlance.chat.v1.ChatService/Listen`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}`, ...headers },
  });
  request.on("response", (response) => {
    response.setEncoding("utf8").on("data", (chunk: string) => {
      received += chunk;
    });
    response.on("error", () => {});
  });
  request.on("error", () => {});
  request.end("{}");
  onTestFinished(() => void request.destroy());
  return {
    lines: () => received.split("\n").filter((line) => line !== ""),
    close: () => request.destroy(),
  };
}

describe("a reader that does not read and goes away leaves nothing behind", () => {
  const big = "x".repeat(16_000);
  /** Fills what lies between the server and a reader that does not read. */
  async function flood(): Promise<void> {
    for (let n = 0; n < 40; n++) {
      const sends = Array.from({ length: 20 }, () =>
        bob.chat.sendDirect({ recipientId: "ann", content: text(big) }),
      );
      await Promise.all(sends);
    }
  }

  test.each([
    ["application/connect+proto", "HTTP/1.1"],
    ["application/connect+json", "HTTP/1.1"],
    ["application/grpc-web+proto", "HTTP/1.1"],
    ["application/json", "HTTP/1.1"],
    ["application/connect+proto", "HTTP/2"],
    ["application/grpc-web+json", "HTTP/2"],
    ["application/grpc+proto", "HTTP/2"],
    ["application/json", "HTTP/2"],
  ])("%s over %s", async (type, version) => {
    const errors = vi.spyOn(console, "error");
    onTestFinished(() => errors.mockRestore());
    const json = type.endsWith("json");
    const body = type === "application/json" ? Buffer.from("{}") : envelope(json ? "{}" : "");
    const headers = { "content-type": type, authorization: `Bearer ${bob.token}` };
    const path = "/parlance.chat.v1.ChatService/Listen";
    const destroy = await (version === "HTTP/2" ? blockedHttp2 : blockedHttp1)(path, headers, body);
    await eventually(() => server.server.stats().sessions === 1);
    await flood();
    expect(server.server.stats()).toMatchObject({ sessions: 1, calls: 1 });
    destroy();
    await eventually(nothing);
    expect(errors).not.toHaveBeenCalled();
    const unexpected = server.logs.filter(
      ({ level, method }) => level === "error" || (level === "warn" && method),
    );
    expect(unexpected).toEqual([]);
  });

  async function blockedHttp1(path: string, headers: Record<string, string>, body: Buffer) {
    const { port } = new URL(`http://${http}`);
    const socket = createConnection(Number(port), "127.0.0.1");
    socket.on("error", () => {});
    socket.pause();
    const lines = Object.entries({ host: "localhost", "content-length": body.length, ...headers });
    socket.write(`POST ${path} HTTP/1.1\r\n${lines.map(([k, v]) => `${k}: ${v}\r\n`).join("")}\r\n`);
    socket.write(body);
    return () => socket.resetAndDestroy();
  }

  async function blockedHttp2(path: string, headers: Record<string, string>, body: Buffer) {
    const session = connectHttp2(`http://${http}`, { settings: { initialWindowSize: 1_024 } });
    session.on("error", () => {});
    const call = session.request({ ":method": "POST", ":path": path, te: "trailers", ...headers });
    call.on("error", () => {});
    call.pause();
    call.end(body);
    return () => session.destroy();
  }
});

describe("a server that stops", () => {
  test.each(all)("asks listeners to reconnect, then ends their calls well, by %s", async (way) => {
    const own = await startTestServer({ drainGraceMs: 10_000 });
    const cid = await own.login("cid");
    const { chat } = clientsOf(way, cid, own.server.httpAddress);
    const events: ServerEvent[] = [];
    const listening = (async () => {
      for await (const response of chat.listen({})) events.push(...response.events);
    })();
    await eventually(() => events.some(({ event }) => event.case === "caughtUp"));
    const closing = own.close();
    // Ends without an error.
    await listening;
    expect(events.map(({ event }) => event.case).slice(-2)).toEqual(["drain", "closed"]);
    await closing;
  });

  test("cuts off, in the end, who does not read", async () => {
    const own = await startTestServer({ drainGraceMs: 200 });
    const cid = await own.login("cid");
    const { port } = new URL(`http://${own.server.httpAddress}`);
    const socket = createConnection(Number(port), "127.0.0.1").pause();
    socket.on("error", () => {});
    socket.write(
      `POST /parlance.chat.v1.ChatService/Listen HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer ${cid.token}\r\ncontent-length: 2\r\n\r\n{}`,
    );
    await eventually(() => own.server.stats().sessions === 1);
    const sends = Array.from({ length: 400 }, () =>
      cid.chat.sendDirect({ recipientId: "ann", content: text("x".repeat(16_000)) }),
    );
    await Promise.all(sends);
    await own.close();
    expect(own.server.stats()).toMatchObject({ sessions: 0, calls: 0 });
    socket.destroy();
  });
});

test("a token that is logged out ends Listen with the reason, by every protocol", async () => {
  for (const way of all) {
    const eve = await server.login("eve");
    const { chat } = clientsOf(way, eve);
    const events: ServerEvent[] = [];
    const ended = (async () => {
      for await (const response of chat.listen({})) events.push(...response.events);
    })().catch((error: unknown) => error);
    await eventually(() => events.some(({ event }) => event.case === "caughtUp"));
    await eve.chat.logout({ allDevices: true });
    expect(connectFailure((await ended) as never)).toMatchObject({
      code: "UNAUTHENTICATED",
      reasonName: "SESSION_LOGGED_OUT",
    });
  }
  await eventually(nothing);
});
