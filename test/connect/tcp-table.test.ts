import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, connect as dial, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { connectionsSendingAgain, cutSilentPeers, keyOf } from "../../src/net/tcp-table.ts";
import { createHost, missingNetwork } from "../faults/disturb/network.ts";
import { testUnless } from "../support/describe-unless.ts";

const head =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

test("a connection that sends again is found, one that waits for a slow reader or is quiet is not", () => {
  const table = [
    "   0: 0100007F:46A0 0100007F:9C41 01 00000110:00000000 01:000000EA 00000006     0        0 1 1",
    "   1: 0100007F:46A0 0100007F:9C42 01 00000110:00000000 04:000000EA 00000003     0        0 2 1",
    "   2: 0100007F:46A0 0100007F:9C43 01 00000000:00000000 02:000000EA 00000000     0        0 3 1",
    "   3: 0100007F:46A0 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4 1",
    "   4: 0000000000000000FFFF00000100007F:46A0 0000000000000000FFFF00000100007F:9C44 01 00000001:00000000 01:00000001 00000001     0        0 5 1",
  ].join("\n");
  const found = connectionsSendingAgain(head + table);
  expect([40_001, 40_002, 40_003].map((remotePort) => found.has(keyOf({ ...here, remotePort })))).toEqual([
    true,
    false,
    false,
  ]);
  expect(found.has(keyOf({ ...here, remoteAddress: "::ffff:127.0.0.1", remotePort: 40_004 }))).toBe(true);
});

const here = { localPort: 18_080, remoteAddress: "127.0.0.1" };

test.runIf(process.platform === "linux").each(["127.0.0.1", "::1"])(
  "a connection is named as the system's table of %s names it",
  async (host) => {
    const server = createServer().listen(0, host);
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const client = dial(port, host);
    const [socket] = (await once(server, "connection")) as [Socket];
    onTestFinished(() => {
      client.destroy();
      socket.destroy();
    });
    const table = readFileSync(host.includes(":") ? "/proc/net/tcp6" : "/proc/net/tcp", "latin1");
    expect(table).toContain(`:${keyOf(socket)} 01 `);
  },
);

testUnless(
  missingNetwork(),
  "a peer that is gone is cut off although it was written to but once, just before a look",
  async () => {
    const host = createHost("table");
    onTestFinished(() => host.close());
    const server = createServer().listen(0, host.hostAddress);
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const script = `require("node:net").connect(${port}, "${host.hostAddress}").resume()`;
    host.run(process.execPath, ["-e", script], { stdio: "ignore" });
    const [socket] = (await once(server, "connection")) as [Socket];
    socket.on("error", () => {});
    onTestFinished(() => void socket.destroy());
    host.pullCable();
    const stop = cutSilentPeers(new Set([socket]));
    onTestFinished(stop);
    // The looks are two seconds apart, and TCP sends again after a fifth of one.
    await delay(1_900);
    socket.write("once");
    await once(socket, "close");
  },
);
