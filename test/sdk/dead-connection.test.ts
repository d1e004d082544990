import { createServer, type Socket, connect as tcpConnect } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connect } from "../../clients/typescript/index.ts";
import type { RunningServer } from "../../src/host/server.ts";
import { serve, temporaryFolder, until } from "./server.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: RunningServer;
let wire: Awaited<ReturnType<typeof startWire>>;

beforeEach(async () => {
  folder = await temporaryFolder();
  server = await serve(folder.path, { pingIntervalMs: "1000" });
  wire = await startWire(server.port);
});

afterEach(async () => {
  await wire.close();
  await server.close();
  await folder.remove();
});

/** A wire to a port whose connections can go dead: open, but nothing comes through any more. */
async function startWire(port: number) {
  const sockets = new Set<Socket>();
  const listener = createServer((near) => {
    const far = tcpConnect(port, "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.once("close", () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port: wirePort } = listener.address() as { port: number };
  return {
    address: `127.0.0.1:${wirePort}`,
    goDead() {
      for (const socket of sockets) socket.unpipe().pause();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => listener.close(resolve));
    },
  };
}

test("a connection that went dead without a word is found and replaced", async () => {
  const received: string[] = [];
  const bob = await connect({
    address: wire.address,
    credentials: { devUserId: "bob" },
    onEvent: (event) => {
      const kind = event.case === "message" ? event.value.content?.kind : undefined;
      if (kind?.case === "text") received.push(kind.value.body);
    },
  });
  const alice = await connect({ address: server.address, credentials: { devUserId: "alice" } });
  await alice.sendDirect("bob", "before");
  await until(() => received.length === 1, "it comes");

  wire.goDead();
  await alice.sendDirect("bob", "meanwhile");
  // Written to a connection that leads nowhere, it is sent again over the next, with one effect.
  const answer = bob.sendDirect("alice", "from bob");
  await until(() => received.includes("meanwhile"), "the client finds the way back");
  expect((await answer).duplicate).toBe(false);
  await until(() => received.length === 3, "all come");
  expect(received).toEqual(["before", "meanwhile", "from bob"]);
  expect(bob.stats.reconnects).toBe(1);
  await Promise.all([alice.close(), bob.close()]);
});

test("sends are answered, once, when only the connection is dead", async () => {
  const caller = await connect({ address: wire.address, credentials: { devUserId: "carol" }, stream: false });
  await caller.sendDirect("bob", "1");
  wire.goDead();
  const sent = await caller.sendDirect("bob", "2");
  expect(sent.seq).toBe(2n);
  await caller.close();
});
