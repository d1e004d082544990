import { rm } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ClientEvent, type ClientState, connect } from "../../clients/typescript/index.ts";
import { randomFor } from "../support/seed.ts";
import { serve, serveApart, temporaryFolder, until } from "./server.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeEach(async () => {
  folder = await temporaryFolder();
});

afterEach(() => folder.remove());

function textOf(event: ClientEvent): string[] {
  const kind = event.case === "message" ? event.value.content?.kind : undefined;
  return kind?.case === "text" ? [kind.value.body] : [];
}

test("a server that is killed and comes back costs no message and shows none twice", async () => {
  const random = randomFor("kill");
  const server = await serveApart(folder.path);
  const received: string[] = [];
  const options = { address: server.address, backoff: { capMs: 500 } };
  const alice = await connect({ ...options, credentials: { devUserId: "alice" } });
  const bob = await connect({
    ...options,
    credentials: { devUserId: "bob" },
    onEvent: (event) => received.push(...textOf(event)),
  });
  try {
    const sent: string[] = [];
    let sending = true;
    const sender = (async () => {
      for (let i = 0; sending; i++) {
        sent.push(String(i));
        await alice.sendDirect("bob", String(i));
      }
    })();
    for (let round = 0; round < 5; round++) {
      await new Promise((resolve) => setTimeout(resolve, 100 + random() * 300));
      await server.kill();
      await server.start();
      await until(() => alice.state === "live" && bob.state === "live", "both are back");
    }
    sending = false;
    await sender;
    await until(() => received.length >= sent.length, "everything arrives");
    expect(received).toEqual(sent);
    expect(bob.stats.reconnects).toBeGreaterThanOrEqual(5);
    expect(bob.stats.gaps).toBe(0);
  } finally {
    await Promise.all([alice.close(), bob.close()]);
    await server.kill();
  }
});

test("a server that drains is left without an error and found again", async () => {
  const first = await serve(folder.path);
  const { address, port } = first;
  const received: string[] = [];
  const states: ClientState[] = [];
  const alice = await connect({ address, credentials: { devUserId: "alice" } });
  const bob = await connect({
    address,
    credentials: { devUserId: "bob" },
    onEvent: (event) => received.push(...textOf(event)),
  });
  bob.onState((state) => states.push(state));
  await alice.sendDirect("bob", "before");
  const closing = first.close();
  const during = alice.sendDirect("bob", "during");
  await closing;
  const second = await serve(folder.path, { port: String(port) });
  await during;
  await alice.sendDirect("bob", "after");
  await until(() => received.includes("after"), "the last comes");
  expect(received).toEqual(["before", "during", "after"]);
  expect(states.slice(0, 2)).toEqual(["reconnecting", "live"]);
  await Promise.all([alice.close(), bob.close()]);
  expect(states.at(-1)).toBe("closed");
  await second.close();
});

test("another log in place of the old one is told and followed", async () => {
  const first = await serve(folder.path);
  const { address, port } = first;
  const events: ClientEvent[] = [];
  const bob = await connect({
    address,
    credentials: { devUserId: "bob" },
    onEvent: (event) => events.push(event),
  });
  const alice = await connect({ address, credentials: { devUserId: "alice" }, stream: false });
  await alice.sendDirect("bob", "in the old log");
  await until(() => events.flatMap(textOf).length === 1, "it comes");
  await first.close();
  await rm(folder.path, { recursive: true });
  const second = await serve(folder.path, { port: String(port) });
  await until(() => events.some((event) => event.case === "reset"), "the reset is told");
  await alice.sendDirect("bob", "in the new log");
  await until(() => events.flatMap(textOf).length === 2, "it comes");
  expect(events.flatMap(textOf)).toEqual(["in the old log", "in the new log"]);
  await Promise.all([alice.close(), bob.close()]);
  await second.close();
});
