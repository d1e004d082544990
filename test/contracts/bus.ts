/** What every bus promises: run it against each implementation. */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Bus, type BusMessage, EphemeralKind, subjects } from "../../src/bus/bus.ts";
import { EventKind } from "../../wire/log-event.ts";
import { eventually } from "../support/eventually.ts";

/** One of each kind, with everything set that may be set. */
export const everyMessage: { [T in BusMessage["type"]]: Extract<BusMessage, { type: T }> } = {
  log: {
    type: "log",
    conversationId: "c1",
    seq: 7,
    position: 2 ** 40,
    kind: EventKind.MESSAGE,
    frame: Buffer.from([1, 2, 3]),
  },
  notice: { type: "notice", firstPosition: 300, subjects: [["user.a", "user.ü"], [], ["group.g"]] },
  ephemeral: {
    type: "ephemeral",
    kind: EphemeralKind.TYPING,
    subject: "group.g",
    exceptUserId: "a",
    frame: Buffer.from([4]),
  },
  presence: {
    type: "presence",
    userId: "a",
    instanceId: "i",
    platforms: [1, 2],
    lastActiveMs: 1_700_000_000_000,
  },
  presenceQuery: { type: "presenceQuery", userIds: ["a", "b"] },
  logout: { type: "logout", id: 12, userId: "a", deviceId: "d" },
  opened: { type: "opened", userId: "a", deviceId: "d", opens: 1 },
  node: {
    type: "node",
    name: "n",
    instanceId: "i",
    address: "host:1",
    version: "1.2.3",
    startTimeMs: 1_700_000_000_000,
    timeMs: 1_700_000_000_001,
    sessions: 3,
    users: 2,
    draining: true,
  },
  nodeQuery: { type: "nodeQuery", name: "n" },
  drainNode: { type: "drainNode", name: "n", sessionsPerSecond: 50 },
};

/** Messages of one kind, to be told apart. */
export function numbered(seq: number): BusMessage {
  return { ...everyMessage.log, seq };
}

/** Makes buses of one service, each as a process of its own would; they can reach each other. */
export type CreateBuses = (count: number) => Promise<Bus[]>;

/** Runs the part of the suite that concerns one process. */
export function busContract(name: string, createBuses: CreateBuses): void {
  describe(name, () => {
    let bus: Bus;
    beforeEach(async () => {
      [bus] = (await createBuses(1)) as [Bus];
    });
    afterEach(() => bus.close());

    test("a message reaches every handler of its subject before publish returns, once, as the same object", () => {
      const got: [string, BusMessage][] = [];
      bus.subscribe(subjects.user("a"), (message) => void got.push(["first", message]));
      bus.subscribe(subjects.user("a"), (message) => void got.push(["second", message]));
      bus.publish(subjects.user("a"), everyMessage.log);
      expect(got.map(([handler]) => handler)).toEqual(["first", "second"]);
      for (const [, message] of got) expect(message).toBe(everyMessage.log);
    });

    test("a message reaches no handler of another subject", () => {
      const got: string[] = [];
      const others = [
        subjects.user("A"),
        subjects.user("a "),
        subjects.user(""),
        subjects.group("a"),
        "log",
        "user",
      ];
      for (const subject of others) bus.subscribe(subject, () => void got.push(subject));
      bus.publish(subjects.user("a"), everyMessage.log);
      expect(got).toEqual([]);
    });

    test("a message published on two subjects reaches the handlers of both", () => {
      const got: string[] = [];
      bus.subscribe(subjects.user("a"), () => void got.push("a"));
      bus.subscribe(subjects.user("b"), () => void got.push("b"));
      bus.publish(subjects.user("a"), everyMessage.log);
      bus.publish(subjects.user("b"), everyMessage.log);
      expect(got).toEqual(["a", "b"]);
    });

    test("who has unsubscribed gets nothing more, others do, and unsubscribing twice does no harm", () => {
      const got: string[] = [];
      const leave = bus.subscribe("log", () => void got.push("left"));
      bus.subscribe("log", () => void got.push("stays"));
      leave();
      leave();
      bus.publish("log", everyMessage.notice);
      expect(got).toEqual(["stays"]);
    });

    test("a handler may unsubscribe itself and subscribe others", () => {
      const got: string[] = [];
      const leave = bus.subscribe("log", () => {
        got.push("first");
        leave();
        bus.subscribe("nodes", () => void got.push("later"));
      });
      bus.publish("log", everyMessage.notice);
      bus.publish("log", everyMessage.notice);
      bus.publish("nodes", everyMessage.node);
      expect(got).toEqual(["first", "later"]);
    });

    test("a request reaches no handler of its own process, and is answered with nothing at once", async () => {
      const got: BusMessage[] = [];
      bus.subscribe("nodes", (message) => {
        got.push(message);
        return everyMessage.node;
      });
      // Waiting for answers would outlast the test.
      expect(await bus.request("nodes", everyMessage.nodeQuery, { maxMs: 600_000 })).toEqual([]);
      expect(got).toEqual([]);
    });

    test("it is connected, and resets nobody", () => {
      bus.onReset(() => expect.unreachable("was reset"))();
      bus.onReset(() => expect.unreachable("was reset"));
      expect(bus.connected).toBe(true);
    });

    test("a closed bus delivers nothing, throws nothing and can be closed again", async () => {
      const got: BusMessage[] = [];
      bus.subscribe("log", (message) => void got.push(message));
      await bus.close();
      bus.publish("log", everyMessage.notice);
      expect(await bus.request("log", everyMessage.nodeQuery, { maxMs: 600_000 })).toEqual([]);
      expect(got).toEqual([]);
      await bus.close();
    });
  });
}

/** Runs the part of the suite that concerns several processes. */
export function busBetweenProcessesContract(name: string, createBuses: CreateBuses): void {
  describe(`${name} between processes`, () => {
    let buses: [Bus, Bus, Bus];
    beforeEach(async () => {
      buses = (await createBuses(3)) as [Bus, Bus, Bus];
    });
    afterEach(() => Promise.all(buses.map((bus) => bus.close())));

    /** Subscribes at a bus and waits until others reach it; returns what arrives from then on. */
    async function listen(bus: Bus, subject: string): Promise<BusMessage[]> {
      const got: BusMessage[] = [];
      bus.subscribe(subject, (message) => {
        if (message.type === "presenceQuery") return everyMessage.presence;
        got.push(message);
        return undefined;
      });
      const from = buses.find((other) => other !== bus && other.connected) as Bus;
      await eventually(
        async () =>
          (await from.request(subject, everyMessage.presenceQuery, { maxMs: 1_000, quietMs: 20 })).length > 0,
      );
      return got;
    }

    test.each(Object.values(everyMessage))(
      "a message of the kind $type arrives as it was",
      async (message) => {
        const [from, to] = buses;
        if (message.type === "presenceQuery") return expect(await answersOf(message)).toEqual([message]);
        const got = await listen(to, subjects.user("a"));
        from.publish(subjects.user("a"), message);
        await eventually(() => got.length > 0);
        expect(got).toEqual([message]);

        async function answersOf(query: BusMessage): Promise<BusMessage[]> {
          to.subscribe("echo", (asked) => asked);
          let answers: BusMessage[] = [];
          await eventually(async () => {
            answers = await from.request("echo", query, { maxMs: 1_000, quietMs: 20 });
            return answers.length > 0;
          });
          return answers;
        }
      },
    );

    test("messages of one process arrive in the order of publishing, across subjects, each once", async () => {
      const [from, to] = buses;
      const got: number[] = [];
      const note = (message: BusMessage) => void (message.type === "log" && got.push(message.seq));
      await listen(to, subjects.user("a"));
      await listen(to, subjects.group("g"));
      to.subscribe(subjects.user("a"), note);
      to.subscribe(subjects.group("g"), note);
      const expected: number[] = [];
      for (let seq = 1; seq <= 5_000; seq++) {
        from.publish(seq % 3 === 0 ? subjects.group("g") : subjects.user("a"), numbered(seq));
        expected.push(seq);
      }
      await eventually(() => got.length >= expected.length);
      expect(got).toEqual(expected);
    });

    test("a message does not come back to the process that published it", async () => {
      const [from, to] = buses;
      const own = await listen(from, "log");
      const others = await listen(to, "log");
      from.publish("log", everyMessage.notice);
      await eventually(() => others.length === 1);
      // What would come back would have come before this.
      const echo = await listen(from, "nodes");
      to.publish("nodes", everyMessage.node);
      await eventually(() => echo.length === 1);
      expect(own).toEqual([everyMessage.notice]);
    });

    test("an unsubscribed subject gets nothing more from other processes", async () => {
      const [from, to] = buses;
      const got: BusMessage[] = [];
      const leave = to.subscribe("log", (message) => void got.push(message));
      const marks = await listen(to, "nodes");
      from.publish("log", everyMessage.notice);
      await eventually(() => got.length === 1);
      leave();
      from.publish("log", everyMessage.notice);
      from.publish("nodes", everyMessage.node);
      await eventually(() => marks.length === 1);
      expect(got).toHaveLength(1);
    });

    test("a request gathers the answers of all other processes", async () => {
      const [from, ...others] = buses;
      for (const [index, bus] of others.entries()) {
        bus.subscribe("nodes", (message) =>
          message.type === "nodeQuery" ? { ...everyMessage.node, name: `n${index}` } : undefined,
        );
      }
      from.subscribe("nodes", () => everyMessage.node);
      let names: string[] = [];
      await eventually(async () => {
        const answers = await from.request("nodes", { type: "nodeQuery" }, { maxMs: 5_000, quietMs: 300 });
        names = answers.map((answer) => (answer as { name: string }).name).sort();
        return names.length === 2;
      });
      expect(names).toEqual(["n0", "n1"]);
    });

    test("a request that others hear and nobody answers ends with nothing after maxMs", async () => {
      const [from, to] = buses;
      const heard = await listen(to, "nodes");
      expect(await from.request("nodes", everyMessage.nodeQuery, { maxMs: 50 })).toEqual([]);
      expect(heard).toEqual([everyMessage.nodeQuery]);
    });

    test("a request that nobody else hears is answered with nothing at once", async () => {
      const [from] = buses;
      // Waiting for answers would outlast the test.
      expect(await from.request("nodes", everyMessage.nodeQuery, { maxMs: 600_000 })).toEqual([]);
    });

    test("a closed bus is heard no more, and what it had published arrives", async () => {
      const [from, to] = buses;
      const got = await listen(to, "log");
      for (let count = 0; count < 100; count++) from.publish("log", everyMessage.notice);
      await from.close();
      await eventually(() => got.length === 100);
      from.publish("log", everyMessage.notice);
      const marks = await listen(to, "nodes");
      buses[2].publish("nodes", everyMessage.node);
      await eventually(() => marks.length === 1);
      expect(got).toHaveLength(100);
    });
  });
}
