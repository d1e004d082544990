import { expect, onTestFinished, test } from "vitest";
import { connect, createTransport, type ParlanceClient } from "../../clients/typescript/index.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer } from "../support/server.ts";

test("300 clients that lost a server at once are all back, no faster than it lets them in", async () => {
  const perSecond = 100;
  const server = await startTestServer({ drainGraceMs: 100, maxNewSessionsPerSecond: perSecond });
  onTestFinished(() => server.close());
  const transport = createTransport({ address: server.address, clientsPerConnection: 50 });
  const clients: ParlanceClient[] = [];
  onTestFinished(async () => void (await Promise.all(clients.map((client) => client.close()))));
  for (let n = 0; n < 300; n += 50) {
    const userIds = Array.from({ length: 50 }, (_, k) => `storm-${n + k}`);
    const connected = userIds.map((devUserId) =>
      connect({ transport, credentials: { devUserId }, connectTimeoutMs: 30_000 }),
    );
    clients.push(...(await Promise.all(connected)));
  }
  expect(server.server.stats().sessions).toBe(300);

  const opened: number[] = [];
  for (const client of clients) client.onState((state) => state === "live" && opened.push(performance.now()));
  const refusals = () => server.logs.filter(({ reason }) => reason === "TOO_MANY_NEW_SESSIONS");
  const before = refusals().length;
  const startMs = performance.now();
  await server.restart();
  await eventually(() => opened.length >= 300);
  expect(server.server.stats().sessions).toBe(300);
  expect(opened).toHaveLength(300);
  for (const [n, timeMs] of opened.entries()) {
    expect(n + 1).toBeLessThanOrEqual(perSecond + ((timeMs - startMs) / 1000) * perSecond);
  }
  expect(refusals().length).toBeGreaterThan(before);
  expect(refusals()[0]).toMatchObject({ code: "RESOURCE_EXHAUSTED" });
});
