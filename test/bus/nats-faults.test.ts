import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Bus, type BusMessage, subjects } from "../../src/bus/bus.ts";
import { createNatsBus } from "../../src/bus/nats/nats-bus.ts";
import { everyMessage, numbered } from "../contracts/bus.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsServer, natsServerIsThere, startNatsServer } from "../support/nats.ts";
import { testEpoch } from "../support/test-epoch.ts";
import { createKeptLog, startPeer, untilHeard } from "./support.ts";

/** Longer than a server that no longer answers is waited for. */
const noticedMs = 25_000;

describe.runIf(natsServerIsThere())("when the NATS server", () => {
  let server: NatsServer;
  let from: Bus;
  let to: Bus;
  let log: ReturnType<typeof createKeptLog>;
  let resets: string[];

  beforeEach(async () => {
    server = await startNatsServer();
    log = createKeptLog();
    resets = [];
    from = await createNatsBus({ store: testEpoch, url: server.url, log });
    to = await createNatsBus({ store: testEpoch, url: server.url, log: { info() {}, warn() {} } });
    from.onReset(() => resets.push("from"));
    to.onReset(() => resets.push("to"));
  });
  afterEach(async () => {
    await Promise.all([from.close(), to.close()]);
    await server.remove();
  });

  const bothReset = () => eventually(() => resets.includes("from") && resets.includes("to"), noticedMs);

  test("is killed, buses say so, drop what is published, and go on when it is back", async () => {
    const got: BusMessage[] = [];
    to.subscribe(subjects.user("a"), (message) => void got.push(message));
    await untilHeard(from, to);
    const leave = to.subscribe(subjects.user("left"), () => expect.unreachable("was unsubscribed"));
    await server.kill();
    await eventually(() => !from.connected && !to.connected);
    expect(log.has("disconnected from NATS")).toBe(true);

    leave();
    to.subscribe(subjects.user("b"), (message) => void got.push(message));
    const own: BusMessage[] = [];
    from.subscribe(subjects.user("a"), (message) => void own.push(message));
    from.publish(subjects.user("a"), numbered(1));
    expect(own).toEqual([numbered(1)]);
    // Waiting for answers would outlast the test.
    expect(await from.request("nodes", everyMessage.nodeQuery, { maxMs: 600_000 })).toEqual([]);
    expect(resets).toEqual([]);

    await server.start();
    await bothReset();
    expect(from.connected && to.connected).toBe(true);
    expect(log.lines.at(-1)).toContain(
      `reconnected to NATS {"server":"n${server.port} (127.0.0.1:${server.port})"`,
    );
    from.publish(subjects.user("left"), numbered(2));
    from.publish(subjects.user("a"), numbered(3));
    from.publish(subjects.user("b"), numbered(4));
    await eventually(() => got.length === 2);
    expect(got).toEqual([numbered(3), numbered(4)]);
  });

  test("is killed, a request that waits for answers ends with those it has", async () => {
    let heard = false;
    to.subscribe("nodes", (message) => {
      heard ||= message.type === "nodeQuery";
      return undefined;
    });
    await untilHeard(from, to);
    const asked = from.request("nodes", everyMessage.nodeQuery, { maxMs: 600_000 });
    await eventually(() => heard);
    await server.kill();
    expect(await asked).toEqual([]);
  });

  test("stops while much is published, memory stays bounded, buses give it up, and go on when it goes on", async () => {
    const got: BusMessage[] = [];
    to.subscribe(subjects.user("a"), (message) => void got.push(message));
    await untilHeard(from, to);
    server.signal("SIGSTOP");
    const frame = Buffer.alloc(10_000);
    const before = process.memoryUsage();
    // 500 MB if all of it were kept.
    let published = 0;
    while (published < 50_000) {
      for (let burst = 0; burst < 500; burst++)
        from.publish("log", { ...everyMessage.log, seq: ++published, frame });
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { external, heapUsed } = process.memoryUsage();
    expect(external + heapUsed - before.external - before.heapUsed).toBeLessThan(150_000_000);
    expect(log.has("takes too little")).toBe(true);
    // The client's own way out of a dead connection waits for the server to take what was written.
    await eventually(() => !from.connected && !to.connected, noticedMs);
    expect(log.lines.at(-1)).toContain("the server does not answer");
    server.signal("SIGCONT");
    await bothReset();
    from.publish(subjects.user("a"), numbered(1));
    await eventually(() => got.length > 0);
    expect(got).toEqual([numbered(1)]);
  });

  test("is stopped, closing ends all the same", async () => {
    from.publish("log", { ...everyMessage.log, frame: Buffer.alloc(900_000) });
    server.signal("SIGSTOP");
    for (let count = 0; count < 10; count++)
      from.publish("log", { ...everyMessage.log, frame: Buffer.alloc(900_000) });
    await Promise.all([from.close(), to.close()]);
    expect(from.connected || to.connected).toBe(false);
  });

  test.each([
    ["down", "SIGKILL"],
    ["stopped", "SIGSTOP"],
  ] as const)("is %s, a bus that is closed keeps no process alive", async (_state, signal) => {
    const peer = await startPeer(server.url);
    try {
      server.signal(signal);
      if (signal === "SIGKILL") await eventually(() => peer.output().includes("disconnected from NATS"));
      peer.signal("SIGTERM");
      expect(await peer.exited).toBe(0);
    } finally {
      peer.signal("SIGKILL");
    }
  });

  test("is down, what is published and subscribed meanwhile takes no memory that stays", async () => {
    await server.kill();
    await eventually(() => !from.connected);
    const frame = Buffer.alloc(10_000);
    const before = process.memoryUsage();
    for (let seq = 1; seq <= 50_000; seq++) {
      from.publish("log", { ...everyMessage.log, seq, frame });
      from.subscribe(subjects.user(`u${seq}`), () => undefined)();
    }
    expect(process.memoryUsage().external - before.external).toBeLessThan(20_000_000);
  });

  test("cuts a process off that was stopped and takes nothing, it reconnects and resets", async () => {
    // The server's own patience, so that it need not be filled with 64 MB.
    const strict = await startNatsServer({ config: 'max_pending: 1048576\nwrite_deadline: "500ms"' });
    const [sender, peer] = await Promise.all([
      createNatsBus({ store: testEpoch, url: strict.url, log }),
      startPeer(strict.url),
    ]);
    try {
      await eventually(
        async () =>
          (await sender.request("nodes", everyMessage.nodeQuery, { maxMs: 5_000, quietMs: 1 })).length > 0,
      );
      peer.signal("SIGSTOP");
      const frame = Buffer.alloc(100_000);
      // Until nobody listens any more, as far as the server knows.
      await eventually(async () => {
        for (let count = 0; count < 20; count++) sender.publish("user.peer", { ...everyMessage.log, frame });
        return !(await isHeard(sender, "user.peer"));
      }, noticedMs);
      peer.signal("SIGCONT");
      await eventually(() => peer.output().includes("reset"), noticedMs);
      expect(peer.output()).toMatch(/disconnected from NATS\n(.*\n)*reconnected to NATS\nreset/);
    } finally {
      peer.signal("SIGKILL");
      await peer.exited;
      await sender.close();
      await strict.remove();
    }
  });

  test("forbids a subject, the bus says so, resets, and goes on with others", async () => {
    const strict = await startNatsServer({
      config: `authorization { users: [
        { user: all, password: p, permissions: { publish: "parlance.>", subscribe: "parlance.>" } }
        { user: some, password: p, permissions: { publish: { allow: "parlance.>", deny: "parlance.log" }, subscribe: { allow: "parlance.>", deny: "parlance.log" } } }
      ] }`,
    });
    const [all, some] = await Promise.all(
      ["all", "some"].map((user) =>
        createNatsBus({ store: testEpoch, url: strict.url, user, password: "p", log }),
      ),
    );
    try {
      let count = 0;
      some?.onReset(() => count++);
      some?.subscribe("log", () => undefined);
      await eventually(() => count === 1);
      expect(log.has("NATS reports an error")).toBe(true);
      some?.publish("log", everyMessage.notice);
      // All a node needs is its prefix: answers come back under it too.
      await untilHeard(all as Bus, some as Bus);
      await untilHeard(some as Bus, all as Bus);
      await eventually(() => count === 2);
    } finally {
      await Promise.all([all?.close(), some?.close()]);
      await strict.remove();
    }
  });
});

/** Tells whether another process listens to a subject, as far as the server knows. */
async function isHeard(bus: Bus, subject: string): Promise<boolean> {
  const outcome = await Promise.race([
    bus.request(subject, everyMessage.nodeQuery, { maxMs: 600_000 }).then(() => "nobody"),
    new Promise((resolve) => setTimeout(resolve, 100, "perhaps")),
  ]);
  return outcome === "perhaps";
}
