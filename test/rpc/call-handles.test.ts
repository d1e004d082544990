import { type ClientHttp2Stream, connect } from "node:http2";
import {
  createChannel,
  createClient,
  Metadata as createMetadata,
  createServer,
  type Metadata,
  Status,
} from "nice-grpc";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ChatService } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { ChatError, ErrorReason } from "../../src/model/errors.ts";
import { type CallHandlesOptions, callIdKey, createCallHandles } from "../../src/net/call-handles.ts";
import { toStatus } from "../../src/net/errors.ts";
import { toDefinition } from "../../wire/definition.ts";
import { readErrorDetails, statusDetailsKey } from "../../wire/error-details.ts";

const { sendDirect, stream } = toDefinition(ChatService);
const definition = { sendDirect, stream };
const loggedOut = toStatus(new ChatError(ErrorReason.SESSION_LOGGED_OUT, "logged out"), () => {});

/**
 * A server whose unary handler answers, or hangs when the recipient is `hang`,
 * and whose stream handler says nothing, or talks without end when the first
 * request id is `flood`.
 */
async function start(options?: CallHandlesOptions) {
  const handles = createCallHandles(options);
  const contexts: Array<{ metadata: Metadata; signal: AbortSignal }> = [];
  const server = createServer({ interceptors: [handles.interceptor] });
  server.add(definition, {
    async sendDirect({ recipientId }, context) {
      contexts.push(context);
      if (recipientId === "hang") await new Promise(() => {});
      return {};
    },
    async *stream(requests, context) {
      contexts.push(context);
      for await (const { requestId } of requests) {
        while (requestId === "flood") yield { events: [{ requestId: "x".repeat(4_096) }] };
        yield { events: [{ requestId }] };
      }
    },
  });
  const port = await server.listen("127.0.0.1:0");
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => {
    channel.close();
    server.forceShutdown();
  });
  return { handles, contexts, port, client: createClient(definition, channel) };
}

/** A stream of a bare HTTP/2 peer, which has to be read by hand. */
function openRaw(port: number, path: string, headers: Record<string, string> = {}): ClientHttp2Stream {
  const session = connect(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  const request = {
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  };
  return session.request(request);
}

function frame(message: Uint8Array, compressed = false): Buffer {
  const head = Buffer.from([compressed ? 1 : 0, 0, 0, 0, 0]);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** What a raw call ends with. */
async function statusOf(raw: ClientHttp2Stream) {
  const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
    raw.on("response", (response) => "grpc-status" in response && resolve(response));
    raw.on("trailers", resolve);
    raw.on("error", reject);
    raw.resume();
  });
  const details = headers[statusDetailsKey];
  return {
    code: Number(headers["grpc-status"]),
    reason: readErrorDetails(typeof details === "string" ? Buffer.from(details, "base64") : undefined).reason,
  };
}

describe("a call's handle", () => {
  test("is found by the id in the call's metadata, whatever the client wrote there", async () => {
    const { client, contexts, handles } = await start();
    const metadata = createMetadata({ [callIdKey]: "forged", "x-parlance-user": "root", "x-other": "kept" });
    const call = client.sendDirect({ recipientId: "hang" }, { metadata, signal: AbortSignal.timeout(1_000) });
    await vi.waitFor(() => expect(contexts).toHaveLength(1));
    const got = contexts[0]?.metadata;
    expect(got?.getAll(callIdKey)).toHaveLength(1);
    expect(got?.get(callIdKey)).not.toBe("forged");
    expect(got?.has("x-parlance-user")).toBe(false);
    expect(got?.get("x-other")).toBe("kept");
    expect(handles.get("forged")).toBeUndefined();
    const handle = handles.get(got?.get(callIdKey) ?? "");
    expect(handle?.path).toBe("/parlance.chat.v1.ChatService/SendDirect");
    handle?.end(loggedOut);
    await expect(call).rejects.toMatchObject({ code: Status.UNAUTHENTICATED, details: "logged out" });
  });

  test("ends a silent stream with a status and its details, and its handler hears of it", async () => {
    const { client, contexts, handles } = await start();
    let trailer: Metadata | undefined;
    async function* requests() {
      yield { requestId: "1" };
      await new Promise(() => {});
    }
    const responses = client
      .stream(requests(), { onTrailer: (metadata) => (trailer = metadata) })
      [Symbol.asyncIterator]();
    await responses.next();
    handles.get(contexts[0]?.metadata.get(callIdKey) ?? "")?.end(loggedOut);
    await expect(responses.next()).rejects.toMatchObject({ code: Status.UNAUTHENTICATED });
    expect(readErrorDetails(trailer?.get(statusDetailsKey)).reason).toBe(ErrorReason.SESSION_LOGGED_OUT);
    expect(contexts[0]?.signal.aborted).toBe(true);
    await vi.waitFor(() => expect(handles.size).toBe(0));
  });

  test("ends a stream whose reader never reads", async () => {
    const { contexts, handles, port } = await start({ endGraceMs: 50 });
    const raw = openRaw(port, stream.path);
    raw.pause();
    raw.on("error", () => {});
    raw.write(frame(stream.requestSerialize({ requestId: "flood" })));
    await vi.waitFor(() => expect(contexts).toHaveLength(1));
    await vi.waitFor(() => expect(raw.readableLength).toBeGreaterThan(16_384));
    const closed = new Promise((resolve) => raw.on("close", () => resolve(raw.rstCode)));
    handles.get(contexts[0]?.metadata.get(callIdKey) ?? "")?.end(loggedOut);
    expect(contexts[0]?.signal.aborted).toBe(true);
    await vi.waitFor(() => expect(handles.size).toBe(0));
    raw.resume();
    expect(await closed).toBe(11);
  });

  test("has a stream's requests go past its handler", async () => {
    const { client, contexts, handles } = await start();
    const { promise: more, resolve: sendMore } = Promise.withResolvers<void>();
    const { promise: ended, resolve: onEnd } = Promise.withResolvers<void>();
    async function* requests() {
      yield { requestId: "1" };
      await more;
      for (let i = 2; i < 50; i++) yield { requestId: `${i}` };
    }
    const responses = client.stream(requests())[Symbol.asyncIterator]();
    expect((await responses.next()).value?.events[0]?.requestId).toBe("1");
    const handle = handles.get(contexts[0]?.metadata.get(callIdKey) ?? "");
    const past: string[] = [];
    const handedOn = handle?.receive?.({
      onRequest(request) {
        past.push((request as { requestId: string }).requestId);
        handle.readNext?.();
      },
      onEnd,
    });
    expect(handedOn).toBe(1);
    sendMore();
    handle?.readNext?.();
    await ended;
    expect(past).toEqual(Array.from({ length: 48 }, (_, i) => `${i + 2}`));
    expect(handle?.receive?.({ onRequest() {}, onEnd() {} })).toBeUndefined();
    expect(await responses.next()).toMatchObject({ done: true });
  });

  test("is gone once the call has ended, been cancelled or lost its connection", async () => {
    const { client, contexts, handles, port } = await start();
    await client.sendDirect({ recipientId: "bo" });
    await vi.waitFor(() => expect(handles.size).toBe(0));

    const controller = new AbortController();
    const cancelled = client.sendDirect({ recipientId: "hang" }, { signal: controller.signal });
    await vi.waitFor(() => expect(handles.size).toBe(1));
    controller.abort();
    await expect(cancelled).rejects.toThrow();
    await vi.waitFor(() => expect(handles.size).toBe(0));

    const raw = openRaw(port, stream.path);
    raw.on("error", () => {});
    await vi.waitFor(() => expect(handles.size).toBe(1));
    const id = contexts.at(-1)?.metadata.get(callIdKey) ?? "";
    raw.session?.destroy();
    await vi.waitFor(() => expect(handles.size).toBe(0));
    expect(handles.get(id)).toBeUndefined();
  });
});

describe("a unary call", () => {
  test("ends at the server's cap though its client set no deadline", async () => {
    const { client, contexts, handles } = await start({ maxUnaryDeadlineMs: 60 });
    let trailer: Metadata | undefined;
    const calls = Array.from({ length: 20 }, () =>
      client.sendDirect({ recipientId: "hang" }, { onTrailer: (metadata) => (trailer = metadata) }),
    );
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    expect(readErrorDetails(trailer?.get(statusDetailsKey)).reason).toBe(ErrorReason.DEADLINE_TOO_LONG);
    expect(contexts.every(({ signal }) => signal.aborted)).toBe(true);
    await vi.waitFor(() => expect(handles.size).toBe(0));
    await expect(client.sendDirect({ recipientId: "bo" })).resolves.toBeDefined();
  });

  test("that never sends its request ends at the cap", async () => {
    const { port } = await start({ maxUnaryDeadlineMs: 60 });
    const raw = openRaw(port, sendDirect.path);
    raw.write(Buffer.of(0, 0, 0, 1, 0));
    expect(await statusOf(raw)).toEqual({
      code: Status.DEADLINE_EXCEEDED,
      reason: ErrorReason.DEADLINE_TOO_LONG,
    });
  });

  test("ends at its own deadline when that is shorter", async () => {
    const { port } = await start();
    const raw = openRaw(port, sendDirect.path, { "grpc-timeout": "50m" });
    raw.end(frame(sendDirect.requestSerialize({ recipientId: "hang" })));
    expect(await statusOf(raw)).toEqual({
      code: Status.DEADLINE_EXCEEDED,
      reason: ErrorReason.DEADLINE_TOO_LONG,
    });
  });

  test.each(["99999999H", "2592000S"])("with a deadline of %s is served, within the cap", async (timeout) => {
    const { port } = await start({ maxUnaryDeadlineMs: 100 });
    const served = openRaw(port, sendDirect.path, { "grpc-timeout": timeout });
    served.end(frame(sendDirect.requestSerialize({ recipientId: "bo" })));
    expect(await statusOf(served)).toEqual({ code: Status.OK, reason: ErrorReason.UNSPECIFIED });
    const startMs = performance.now();
    const capped = openRaw(port, sendDirect.path, { "grpc-timeout": timeout });
    capped.end(frame(sendDirect.requestSerialize({ recipientId: "hang" })));
    expect(await statusOf(capped)).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    expect(performance.now() - startMs).toBeGreaterThan(90);
  });

  test("with a malformed deadline is the client's fault", async () => {
    const { port, contexts } = await start();
    const raw = openRaw(port, sendDirect.path, { "grpc-timeout": "9x" });
    expect(await statusOf(raw)).toEqual({
      code: Status.INVALID_ARGUMENT,
      reason: ErrorReason.INVALID_METADATA,
    });
    expect(contexts).toEqual([]);
  });

  test("whose body is not compressed as it says is the client's fault", async () => {
    const { port, contexts } = await start();
    const raw = openRaw(port, sendDirect.path, { "grpc-encoding": "gzip" });
    raw.end(frame(Buffer.from("not gzip"), true));
    expect(await statusOf(raw)).toEqual({
      code: Status.INVALID_ARGUMENT,
      reason: ErrorReason.UNDECODABLE_REQUEST,
    });
    expect(contexts).toEqual([]);
  });

  test("of a method or an encoding that is unknown is UNIMPLEMENTED", async () => {
    const { port } = await start();
    expect((await statusOf(openRaw(port, "/parlance.chat.v1.ChatService/Nothing"))).code).toBe(
      Status.UNIMPLEMENTED,
    );
    const raw = openRaw(port, sendDirect.path, { "grpc-encoding": "br" });
    raw.end(frame(Buffer.from("x"), true));
    expect((await statusOf(raw)).code).toBe(Status.UNIMPLEMENTED);
  });
});

test("a stream outlives the cap of unary calls", async () => {
  const { client, contexts } = await start({ maxUnaryDeadlineMs: 30 });
  const { promise: second, resolve: sendSecond } = Promise.withResolvers<void>();
  async function* requests() {
    yield { requestId: "1" };
    await second;
    yield { requestId: "2" };
  }
  const responses = client.stream(requests())[Symbol.asyncIterator]();
  await responses.next();
  await expect(client.sendDirect({ recipientId: "hang" })).rejects.toMatchObject({
    code: Status.DEADLINE_EXCEEDED,
  });
  expect(contexts[0]?.signal.aborted).toBe(false);
  sendSecond();
  expect((await responses.next()).value?.events[0]?.requestId).toBe("2");
  expect(await responses.next()).toMatchObject({ done: true });
});
