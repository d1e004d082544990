import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Wire } from "../../bench/peers/clients/wire.ts";
import { runUntilDone } from "../../bench/peers/load/run.ts";
import { Tally } from "../../bench/peers/load/tally.ts";
import type { PeerRow } from "../../bench/peers/rows.ts";

const execute = promisify(execFile);
const main = fileURLToPath(new URL("../../bench/peers/main.ts", import.meta.url));

async function peers(...args: string[]): Promise<PeerRow[]> {
  const env = { ...process.env, NODE_OPTIONS: "" };
  const { stdout } = await execute(process.execPath, [main, "--quick", "--json", ...args], { env });
  return JSON.parse(stdout) as PeerRow[];
}

// NATS is the peer that a machine that tests Parlance is likely to have. How fast it is is not looked at.
const natsIsInstalled = spawnSync("nats-server", ["--version"]).error === undefined;

test(`a peer that is ${natsIsInstalled ? "" : "not "}installed gives ${
  natsIsInstalled ? "figures in every job" : "the reason in every job"
}`, async () => {
  const rows = await peers("--only", "nats");
  const jobs = ["fanout-idle", "fanout-load", "direct", "idle"];
  expect(rows.map(({ job }) => job)).toEqual([...jobs, ...jobs]);
  expect(rows.map(({ durable }) => durable)).toEqual([...jobs.map(() => false), ...jobs.map(() => true)]);
  for (const row of rows) {
    if (!natsIsInstalled) {
      expect(row.reason, row.job).toMatch(/not installed/);
      continue;
    }
    expect(row.reason, row.job).toBeUndefined();
    if (row.job === "idle") {
      expect(row.kb_per_session).toEqual(expect.any(Number));
    } else {
      expect(row.cpu_us, row.job).toBeGreaterThan(0);
      expect(row.per_second, row.job).toBeGreaterThan(0);
    }
  }
});

test("a peer that cannot be had gives the reason in every job", async () => {
  const rows = await peers("--only", "tinode");
  expect(rows).toHaveLength(4);
  for (const row of rows)
    expect(row).toMatchObject({ peer: "tinode", cpu_us: null, reason: expect.any(String) });
});

test("a load whose messages are delivered twice is no good", async () => {
  const tally = new Tally();
  const run = runUntilDone(tally, 1, 2, false, (sending) => {
    tally.sent++;
    tally.received(0, 3);
    sending.check();
  });
  await expect(run).rejects.toThrow("more arrived than was sent");
});

test("what arrives is read whole, however it is torn", async () => {
  const lines = fc.array(fc.stringMatching(/^[a-z]{0,30}$/), { minLength: 1, maxLength: 20 });
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(lines, sizes, async (sent, pieces) => {
      expect(
        await linesThrough(Buffer.from(sent.map((line) => `${line}\n`).join("")), pieces, sent.length),
      ).toEqual(sent);
    }),
    { numRuns: 30 },
  );
});

/** Sends bytes to a `Wire` in pieces of some sizes, and returns the lines that its parser reads. */
async function linesThrough(bytes: Buffer, sizes: readonly number[], count: number): Promise<string[]> {
  const server = createServer({ noDelay: true }, async (socket) => {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const end = at + (sizes[i % sizes.length] as number);
      socket.write(bytes.subarray(at, end));
      at = end;
      await turn();
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const read: string[] = [];
  const { promise: allRead, resolve, reject } = Promise.withResolvers<void>();
  const wire = await Wire.connect((server.address() as AddressInfo).port, parse, (why) =>
    reject(new Error(why)),
  );
  await allRead;
  wire.close();
  server.close();
  await once(server, "close");
  return read;

  function parse(buffer: Buffer): number {
    let at = 0;
    for (let end = buffer.indexOf("\n"); end >= 0; end = buffer.indexOf("\n", at)) {
      read.push(buffer.toString("latin1", at, end));
      at = end + 1;
    }
    if (read.length === count) resolve();
    return at;
  }
}
