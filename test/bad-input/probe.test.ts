import { connect } from "node:http2";
import { gzipSync } from "node:zlib";
import { test } from "vitest";
import { startTestServer } from "../support/server.ts";
import { readErrorDetails, statusDetailsKey } from "../../src/rpc/error-details.ts";
function frame(message: Uint8Array, compressed = 0, len = message.length) { const h = Buffer.alloc(5); h[0] = compressed; h.writeUInt32BE(len, 1); return Buffer.concat([h, message]); }
test("probe", async () => {
  const server = await startTestServer();
  const alice = await server.login("alice");
  const base = { ":method": "POST", ":path": "/parlance.chat.v1.ConversationService/ListConversations", "content-type": "application/grpc", te: "trailers", authorization: `Bearer ${alice.token}` };
  async function call(name: string, headers: any, body?: Uint8Array, end = true, opts: any = {}) {
    const session = connect(`http://${server.address}`, opts);
    const log: unknown[] = [];
    session.on("error", (e: any) => log.push(["session error", e.code, e.message]));
    session.on("goaway", (c) => log.push(["goaway", c]));
    session.on("close", () => log.push(["session close"]));
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 1500);
      try {
        const s = session.request(headers);
        s.on("response", (h) => log.push(["response", h[":status"], h["grpc-status"], h["grpc-message"]], readErrorDetails(h[statusDetailsKey] ? Buffer.from(String(h[statusDetailsKey]), "base64") : undefined).reasonName));
        s.on("trailers", (h) => log.push(["trailers", h["grpc-status"], h["grpc-message"]], readErrorDetails(h[statusDetailsKey] ? Buffer.from(String(h[statusDetailsKey]), "base64") : undefined).reasonName));
        s.on("error", (e: any) => log.push(["stream error", e.code, e.message]));
        s.on("close", () => { log.push(["stream close", s.rstCode]); resolve(); });
        s.on("data", (d) => log.push(["data", d.length]));
        if (body) s.write(body);
        if (end) s.end();
      } catch (e: any) { log.push(["threw", e.code, e.message]); resolve(); }
    });
    await new Promise((r) => setTimeout(r, 50));
    console.log(name, JSON.stringify(log));
    session.destroy();
  }
  const empty = frame(new Uint8Array());
  await call("ok", base, empty);
  await call("200 headers", { ...base, ...Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x-${i}`, "v"])) }, empty);
  await call("100k header", { ...base, "x-large": "v".repeat(100_000) }, empty, true, { maxSendHeaderBlockLength: 1_000_000 });
  await call("content-type", { ...base, "content-type": "text/plain" }, empty);
  await call("no content-type", { ":method": "POST", ":path": base[":path"] }, empty);
  await call("content-type json", { ...base, "content-type": "application/grpc+json" }, empty);
  await call("grpc-web", { ...base, "content-type": "application/grpc-web" }, empty);
  await call("unknown method", { ...base, ":path": "/parlance.chat.v1.ChatService/Nope" }, empty);
  await call("unknown service", { ...base, ":path": "/nope.Nope/Nope" }, empty);
  await call("path", { ...base, ":path": "/" }, empty);
  await call("path query", { ...base, ":path": base[":path"] + "?token=x" }, empty);
  await call("3.9GB", base, frame(new Uint8Array(1), 0, 3_900_000_000), false);
  await call("gzip bomb", { ...base, "grpc-encoding": "gzip" }, frame(gzipSync(Buffer.alloc(10_000_000)), 1));
  await call("gzip bad", { ...base, "grpc-encoding": "gzip" }, frame(Buffer.from("not gzip"), 1));
  await call("gzip undeclared", base, frame(gzipSync(Buffer.alloc(10)), 1));
  await call("unknown encoding", { ...base, "grpc-encoding": "br" }, empty);
  await call("flag 7", base, frame(new Uint8Array(), 7));
  await call("GET", { ":method": "GET", ":path": base[":path"], authorization: base.authorization });
  await call("GET grpc", { ...base, ":method": "GET" });
  await call("PUT grpc", { ...base, ":method": "PUT" }, empty);
  await call("no message", base);
  await call("two messages", base, Buffer.concat([empty, empty]));
  await call("half a prefix", base, empty.subarray(0, 3));
  await call("half a message", base, frame(Buffer.from("ab"), 0, 10));
  await call("timeout bad", { ...base, "grpc-timeout": "9x" }, empty);
  await call("timeout neg", { ...base, "grpc-timeout": "-1S" }, empty);
  await call("timeout huge", { ...base, "grpc-timeout": "99999999H" }, empty);
  await call("timeout long", { ...base, "grpc-timeout": "999999999999S" }, empty);
  await call("bin", { ...base, "x-bin": "!!!" }, empty);
  const raw = Object.entries(base).flat();
  await call("raw ok", raw, empty);
  await call("raw two auth", [...raw, "authorization", "Bearer other"], empty);
  await call("raw two auth reversed", [...raw.slice(0, 8), "authorization", "Bearer other", "authorization", base.authorization], empty);
  await call("raw two device", [...raw, "parlance-device", "a", "parlance-device", "b"], empty);
  await call("raw crlf", [...raw, "x-a", "b\r\nc"], empty);
  await call("stream headers", { ...base, ":path": "/parlance.chat.v1.ChatService/Stream" }, undefined, false);
  await server.close();
}, 100_000);
