import { once } from "node:events";
import { connect, createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { IdTable } from "../../src/net/id-table.ts";
import { tableStreams } from "../../src/net/stream-table.ts";
import { seed } from "../support/seed.ts";

/** Numbers as calls and streams have them, and some that are too large for an array. */
const id = fc.oneof(fc.nat(12), fc.integer({ min: 2 ** 31 - 2, max: 2 ** 31 + 2 }), fc.constant(2 ** 33));
const action = fc.oneof(
  fc.record({ kind: fc.constant("set"), id, value: fc.nat() }),
  fc.record({ kind: fc.constant("delete"), id, value: fc.constant(0) }),
);

test("a table holds what a Map would", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const table = new IdTable<number>();
      const map = new Map<number, number>();
      for (const { kind, id, value } of actions) {
        if (kind === "set") {
          table.set(id, value);
          map.set(id, value);
        } else {
          expect(table.delete(id)).toBe(map.delete(id));
        }
        expect(table.size).toBe(map.size);
        expect(table.get(id)).toBe(map.get(id));
      }
      const seen = new Map<number, number>();
      table.forEach((value, key) => void seen.set(key, value));
      expect(seen).toEqual(map);
    }),
    { seed: seed(), numRuns: 300 },
  );
});

test("what is deleted while a table is gone through is left out", () => {
  const table = new IdTable<string>().set(3, "c").set(1, "a").set(2, "b");
  const seen: string[] = [];
  table.forEach((value) => {
    seen.push(value);
    table.delete(2);
    table.set(4, "d");
  });
  expect(seen).toEqual(["a", "c"]);
});

test("Node keeps the streams of a session where they can be kept in such a table", async () => {
  const server = createServer((_, response) => void response.end("here"));
  let found: boolean | undefined;
  let closed = 0;
  server.on("session", (session) => {
    found = tableStreams(session);
    session.on("stream", (stream) => stream.once("close", () => closed++));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => client.destroy());
  const texts = await Promise.all(
    Array.from({ length: 300 }, async () => {
      const stream = client.request({ ":path": "/" }).setEncoding("utf8");
      let text = "";
      for await (const chunk of stream) text += chunk;
      return text;
    }),
  );
  expect(texts).toEqual(Array.from({ length: 300 }, () => "here"));
  expect(found).toBe(true);
  // Node destroys the session only once it holds no stream.
  const ended = once(client, "close");
  client.close();
  await ended;
  expect(closed).toBe(300);
});
