import { expect, test } from "vitest";
import { EventQueue } from "../../clients/typescript/event-queue.ts";
import type { ClientEvent } from "../../clients/typescript/events.ts";

function event(formerEpoch: string): ClientEvent {
  return { case: "reset", value: { formerEpoch }, cursor: undefined };
}

function queueOf(limit = 100) {
  const done: ClientEvent[] = [];
  let rooms = 0;
  const queue = new EventQueue(limit, { onDone: (each) => done.push(each), onRoom: () => rooms++ });
  return { queue, done, rooms: () => rooms };
}

test("an event is done when the next one is asked for", async () => {
  const { queue, done } = queueOf();
  queue.push(event("1"));
  queue.push(event("2"));
  expect((await queue.next()).value).toEqual(event("1"));
  expect(done).toEqual([]);
  await queue.next();
  expect(done).toEqual([event("1")]);
});

test("an event that a loop is left with is not done", async () => {
  const { queue, done } = queueOf();
  queue.push(event("1"));
  for await (const _ of queue) break;
  queue.end();
  expect(done).toEqual([]);
});

test("an event that a loop is left with comes again in the next one", async () => {
  const { queue, done } = queueOf();
  for (const each of ["1", "2", "3"]) queue.push(event(each));
  await queue.next();
  for await (const _ of queue) break;
  const seen: unknown[] = [];
  for await (const each of queue) if (seen.push(each) === 2) break;
  expect(seen).toEqual([event("2"), event("3")]);
  expect(done).toEqual([event("1"), event("2")]);
});

test("it is full at its limit and has room again when half is taken", async () => {
  const { queue, rooms } = queueOf(4);
  expect([1, 2, 3, 4].map((each) => queue.push(event(String(each))))).toEqual([true, true, true, false]);
  await queue.next();
  expect(rooms()).toBe(0);
  await queue.next();
  expect(rooms()).toBe(1);
});

test("it keeps the order over many events", async () => {
  const { queue } = queueOf(10_000);
  for (let i = 0; i < 5_000; i++) queue.push(event(String(i)));
  for (let i = 0; i < 5_000; i++) expect((await queue.next()).value).toEqual(event(String(i)));
});

test("an end lets go of whoever waits", async () => {
  const { queue } = queueOf();
  const waiting = queue.next();
  queue.end();
  expect(await waiting).toEqual({ value: undefined, done: true });
  expect(await queue.next()).toEqual({ value: undefined, done: true });
});

test("an error comes after the events before it, once", async () => {
  const { queue } = queueOf();
  queue.push(event("1"));
  queue.end(new Error("replaced"));
  expect((await queue.next()).value).toEqual(event("1"));
  await expect(queue.next()).rejects.toThrow("replaced");
  expect(await queue.next()).toEqual({ value: undefined, done: true });
});
