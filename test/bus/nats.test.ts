import { connect } from "@nats-io/transport-node";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bus, type BusMessage, subjects } from "../../src/bus/bus.ts";
import { encodeMessage } from "../../src/bus/nats/codec.ts";
import { createNatsBus, type NatsBusOptions } from "../../src/bus/nats/nats-bus.ts";
import { createSeal } from "../../src/bus/nats/seal.ts";
import { busBetweenProcessesContract, busContract, everyMessage, numbered } from "../contracts/bus.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { type NatsServer, natsServerIsThere, startNatsServer } from "../support/nats.ts";
import { seed } from "../support/seed.ts";
import { testEpoch } from "../support/test-epoch.ts";
import { createKeptLog, silentLog, startPeer, untilHeard } from "./support.ts";

describe.runIf(natsServerIsThere())("the NATS bus", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server.remove());

  const createBus = (options: Partial<NatsBusOptions> = {}) =>
    createNatsBus({ store: testEpoch, url: server.url, log: silentLog, ...options });
  const createBuses = (count: number) => Promise.all(Array.from({ length: count }, () => createBus()));

  busContract("on one server", createBuses);
  busBetweenProcessesContract("on one server", createBuses);

  describe("in a cluster of two servers", () => {
    const servers: NatsServer[] = [];
    beforeAll(async () => {
      const ports = [await freePort(), await freePort()] as const;
      servers.push(await startNatsServer({ cluster: { port: ports[0], routes: [ports[1]] } }));
      servers.push(await startNatsServer({ cluster: { port: ports[1], routes: [ports[0]] } }));
    });
    afterAll(() => Promise.all(servers.map((each) => each.remove())));

    busBetweenProcessesContract("in a cluster", (count) =>
      Promise.all(
        Array.from({ length: count }, (_, index) =>
          createNatsBus({ store: testEpoch, url: servers[index % 2]?.url ?? "", log: silentLog }),
        ),
      ),
    );

    test("a bus goes on with the other server when its own dies", async () => {
      const url = servers.map((each) => each.url).join(",");
      const log = createKeptLog();
      const bus = await createNatsBus({ store: testEpoch, url, log });
      try {
        const own = servers.find((each) => log.has(`n${each.port} `)) as NatsServer;
        await own.kill();
        await eventually(() => log.has("reconnected"));
        const other = servers.find((each) => each !== own) as NatsServer;
        expect(log.lines.at(-1)).toContain(`n${other.port} `);
        await own.start();
      } finally {
        await bus.close();
      }
    });
  });

  test("carries messages between processes", async () => {
    const [bus, peer] = await Promise.all([createBus(), startPeer(server.url)]);
    try {
      const got: BusMessage[] = [];
      bus.subscribe("user.test", (message) => void got.push(message));
      let answers: BusMessage[] = [];
      await eventually(async () => {
        answers = await bus.request("nodes", { type: "nodeQuery" }, { maxMs: 5_000, quietMs: 1 });
        return answers.length > 0;
      });
      expect(answers).toMatchObject([{ type: "node", name: `${peer.pid}` }]);
      for (let seq = 1; seq <= 1_000; seq++) bus.publish("user.peer", numbered(seq));
      await eventually(() => got.length === 1_000);
      expect(got).toEqual(Array.from({ length: 1_000 }, (_, index) => numbered(index + 1)));
      peer.signal("SIGTERM");
      // A bus that is closed keeps no process alive.
      expect(await peer.exited).toBe(0);
    } finally {
      peer.signal("SIGKILL");
      await bus.close();
    }
  });

  test("brings a message to its own subject alone, whatever the id", async () => {
    const [from, to] = (await createBuses(2)) as [Bus, Bus];
    try {
      const marks: BusMessage[] = [];
      to.subscribe("nodes", (message) => void marks.push(message));
      const id = fc.oneof(
        fc.string({ unit: "binary", maxLength: 32 }),
        fc.string({ unit: fc.constantFrom(".", "*", ">", "=", "~", " ", "a", "A", "\t"), maxLength: 5 }),
      );
      await fc.assert(
        fc.asyncProperty(fc.uniqueArray(id, { minLength: 1, maxLength: 10 }), async (ids) => {
          const got: string[] = [];
          const leave = ids.map((each) => to.subscribe(subjects.user(each), () => void got.push(each)));
          await untilHeard(from, to);
          for (const each of ids) from.publish(subjects.user(each), everyMessage.log);
          marks.length = 0;
          from.publish("nodes", everyMessage.node);
          await eventually(() => marks.length === 1);
          for (const stop of leave) stop();
          expect(got).toEqual(ids);
        }),
        { seed: seed(), numRuns: 40 },
      );
    } finally {
      await Promise.all([from.close(), to.close()]);
    }
  });

  test("takes 20,000 subscriptions, and lets go of them", async () => {
    const [from, to] = (await createBuses(2)) as [Bus, Bus];
    try {
      const got = new Set<number>();
      const leave = Array.from({ length: 20_000 }, (_, n) =>
        to.subscribe(subjects.user(`u${n}`), () => void got.add(n)),
      );
      await untilHeard(from, to);
      for (let n = 0; n < leave.length; n += 100) from.publish(subjects.user(`u${n}`), everyMessage.log);
      await eventually(() => got.size === 200);
      for (const stop of leave) stop();
      await eventually(async () => {
        const options = { maxMs: 600_000 };
        return (await from.request(subjects.user("u0"), everyMessage.nodeQuery, options)).length === 0;
      });
    } finally {
      await Promise.all([from.close(), to.close()]);
    }
  });

  test("keeps apart services with different prefixes", async () => {
    const [one, other] = [await createBus({ prefix: "one" }), await createBus({ prefix: "other.of-two" })];
    try {
      other.subscribe("nodes", () => everyMessage.node);
      one.subscribe("nodes", () => everyMessage.node);
      expect(await one.request("nodes", everyMessage.nodeQuery, { maxMs: 600_000 })).toEqual([]);
      expect(await other.request("nodes", everyMessage.nodeQuery, { maxMs: 600_000 })).toEqual([]);
    } finally {
      await Promise.all([one.close(), other.close()]);
    }
  });

  test("ignores bytes that are no message and kinds of later releases, with a line for each", async () => {
    const log = createKeptLog();
    const [bus, other] = [await createBus({ log }), await createBus()];
    const raw = await connect({ servers: server.url });
    try {
      const got: BusMessage[] = [];
      bus.subscribe("log", (message) => void got.push(message));
      await untilHeard(other, bus);
      for (const bytes of [
        Buffer.alloc(0),
        Buffer.from("garbage"),
        Buffer.alloc(100, 0xff),
        Buffer.from([0x0a, 5, 1]),
      ])
        raw.publish("parlance.log", bytes);
      raw.publish("parlance.log", Buffer.from([0xba, 0x3e, 1, 0]));
      raw.publish("parlance.log", createSeal(testEpoch).seal(everyMessage.notice));
      await eventually(() => got.length === 1);
      expect(got).toEqual([everyMessage.notice]);
      expect(log.lines.filter((line) => line.startsWith("bytes that are no message"))).toHaveLength(1);
      expect(log.lines.filter((line) => line.includes("its kind is unknown here"))).toHaveLength(1);
    } finally {
      await Promise.all([bus.close(), other.close(), raw.close()]);
    }
  });

  test("ignores what is of another epoch, and asks for a look in the store at what is of none", async () => {
    const log = createKeptLog();
    const raw = await connect({ servers: server.url });
    const [bus, other] = [await createBus({ log }), await createBus()];
    try {
      const got: BusMessage[] = [];
      let doubts = 0;
      bus.subscribe("log", (message) => void got.push(message));
      bus.onDoubt?.(() => doubts++);
      bus.onDoubt?.(() => expect.unreachable("unregistered"))();
      await untilHeard(other, bus);
      const ofBefore = createSeal({ ...testEpoch, epoch: "before" });
      raw.publish("parlance.log", ofBefore.seal(everyMessage.log));
      raw.publish("parlance.log", encodeMessage(everyMessage.log));
      raw.publish("parlance.log", createSeal(testEpoch).seal(everyMessage.notice));
      await eventually(() => got.length === 1);
      expect(got).toEqual([everyMessage.notice]);
      expect(doubts).toBe(1);
      expect(log.lines.filter((line) => line.includes("of another epoch"))).toHaveLength(1);
      expect(log.lines.filter((line) => line.includes("looked up in the store"))).toHaveLength(1);
    } finally {
      await Promise.all([bus.close(), other.close(), raw.close()]);
    }
  });

  test("ignores answers that are no message", async () => {
    const bus = await createBus();
    const raw = await connect({ servers: server.url });
    try {
      raw.subscribe("parlance.nodes", {
        callback: (_error, message) => {
          message.respond(Buffer.from("garbage"));
          message.respond();
          message.respond(encodeMessage(everyMessage.node));
        },
      });
      await raw.flush();
      expect(await bus.request("nodes", everyMessage.nodeQuery, { maxMs: 20_000, quietMs: 1 })).toEqual([
        everyMessage.node,
      ]);
    } finally {
      await Promise.all([bus.close(), raw.close()]);
    }
  });

  test("survives handlers that throw, and says so", async () => {
    const log = createKeptLog();
    const [from, to] = [await createBus(), await createBus({ log })];
    try {
      const got: BusMessage[] = [];
      to.subscribe("log", () => {
        throw new Error("a fault of the handler");
      });
      to.subscribe("log", (message) => void got.push(message));
      to.publish("log", everyMessage.notice);
      expect(got).toHaveLength(1);
      await untilHeard(from, to);
      from.publish("log", everyMessage.notice);
      await eventually(() => got.length === 2);
      expect(log.has("a handler of the bus failed")).toBe(true);
    } finally {
      await Promise.all([from.close(), to.close()]);
    }
  });

  test("drops a message that is larger than the server takes, says so, and carries the next", async () => {
    const log = createKeptLog();
    const [from, to] = [await createBus({ log }), await createBus()];
    try {
      const got: BusMessage[] = [];
      to.subscribe("log", (message) => void got.push(message));
      await untilHeard(from, to);
      from.publish("log", { ...everyMessage.log, frame: Buffer.alloc(2_000_000) });
      from.publish("log", everyMessage.notice);
      await eventually(() => got.length > 0);
      expect(got).toEqual([everyMessage.notice]);
      expect(log.has("could not be sent")).toBe(true);
    } finally {
      await Promise.all([from.close(), to.close()]);
    }
  });
});
