/** Chats inside other services that are one service together. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "nice-grpc";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "../../clients/typescript/index.ts";
import { createLocalBus, createParlance, type ParlanceOptions, text } from "../../src/index.ts";
import { type ClusterParts, describeWithCluster, startClusterParts } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";

let parts: ClusterParts & { close: () => Promise<void> };

/** Starts a host with a chat inside. */
async function startHost() {
  const { databaseUrl, nats } = parts;
  const parlance = await createParlance({ databaseUrl, natsUrl: nats.url, auth: "dev" });
  const server = createServer(parlance.serverOptions);
  parlance.mount(server);
  const port = await server.listen("127.0.0.1:0");
  return { address: `127.0.0.1:${port}`, parlance, close: () => parlance.shutdown(server) };
}

describeWithCluster("chats inside several processes", () => {
  beforeAll(async () => {
    parts = await startClusterParts();
  });
  afterAll(() => parts?.close());

  test("that share a database and NATS are one service", async () => {
    const [first, second] = [await startHost(), await startHost()];
    const texts: string[] = [];
    const bob = await connect({
      address: second.address,
      credentials: { devUserId: "bob" },
      onEvent({ case: name, value }) {
        if (name === "message" && value.content?.kind.case === "text")
          texts.push(value.content.kind.value.body);
      },
    });
    const { seq } = await first.parlance.chat.sendDirect("shop", {
      recipientId: "bob",
      content: text("hello"),
    });
    expect(seq).toBe(1n);
    await eventually(() => texts.length === 1);
    expect(texts).toEqual(["hello"]);
    await bob.close();
    await Promise.all([first.close(), second.close()]);
  });

  test("say at once that there is no database or no NATS", async () => {
    const { databaseUrl } = parts;
    const nowhere = { databaseUrl: "postgres://127.0.0.1:1/none", auth: "dev" } as const;
    await expect(createParlance(nowhere)).rejects.toThrow(/127\.0\.0\.1:1/);
    const noNats = { databaseUrl, natsUrl: "nats://127.0.0.1:1", auth: "dev" } as const;
    await expect(createParlance(noNats)).rejects.toThrow(/no connection to NATS at 127\.0\.0\.1:1/);
  });
});

test.each<[string, Partial<ParlanceOptions>, RegExp]>([
  ["no store", {}, /either store or databaseUrl/],
  ["two stores", { store: "./x.db", databaseUrl: "postgres://a/b" }, /either store or databaseUrl/],
  [
    "two buses",
    { databaseUrl: "postgres://a/b", bus: createLocalBus(), natsUrl: "nats://a" },
    /either bus or natsUrl/,
  ],
  ["NATS for an SQLite file", { store: "./x.db", natsUrl: "nats://a" }, /for one process/],
])("a chat with %s is refused", async (_, options, message) => {
  const folder = mkdtempSync(join(tmpdir(), "parlance-embedding-"));
  const made = createParlance({
    auth: "dev",
    ...options,
    ...(typeof options.store === "string" && { store: join(folder, options.store) }),
  });
  await expect(made).rejects.toThrow(message);
  rmSync(folder, { recursive: true });
});
