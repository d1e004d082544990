import { execFile } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { createChannel } from "nice-grpc";
import { expect, onTestFinished, test } from "vitest";
import {
  failPoint,
  failPointNames,
  failPointsVariable,
  parseFailPoints,
  testBuildFlag,
  waitingFailPoint,
} from "../src/fail-points.ts";
import { clientsOf } from "./support/clients.ts";
import { failureOf } from "./support/errors.ts";
import { makeDataDir, type ServeChild, startServe } from "./support/serve-child.ts";
import { text } from "./support/server.ts";

/** Starts a server that ends with the test. */
async function serve(dataDir: string, failPoints: string, nodeArgs = [testBuildFlag]): Promise<ServeChild> {
  const server = await startServe(dataDir, [], { nodeArgs, env: { [failPointsVariable]: failPoints } });
  onTestFinished(() => server.kill());
  return server;
}

/** Runs a command to its end. */
async function parlance(failPoints: string, ...args: string[]) {
  try {
    const env = { ...process.env, [failPointsVariable]: failPoints };
    const run = promisify(execFile)(process.execPath, [testBuildFlag, "src/main.ts", ...args], { env });
    return { code: 0, signal: null, ...(await run) };
  } catch (error) {
    return error as { code: number | null; signal: string | null; stdout: string; stderr: string };
  }
}

function newDataDir(): string {
  const data = makeDataDir();
  onTestFinished(data.remove);
  return data.path;
}

/** Logs a user in. */
async function login({ address }: ServeChild, userId: string) {
  const channel = createChannel(address);
  onTestFinished(() => channel.close());
  const { sessionToken } = await clientsOf(channel, {}).chat.login({
    credential: { case: "devUserId", value: userId },
  });
  return clientsOf(channel, { authorization: `Bearer ${sessionToken}` });
}

/** The numbers of the hits, out of 20, at which a fail point leaves out its work. */
function dropsOf(specification: string, seed = 1): number[] {
  const points = parseFailPoints(specification, seed);
  return Array.from({ length: 20 }, (_, n) => n + 1).filter(() => failPoint("publish", points));
}

test("a fail point counts its hits and applies at those that were named", () => {
  expect(dropsOf("")).toEqual([]);
  expect(dropsOf("publish=drop")).toHaveLength(20);
  expect(dropsOf("publish=drop@3")).toEqual([3]);
  expect(dropsOf("publish=drop@18+")).toEqual([18, 19, 20]);
  expect(dropsOf("publish=drop@2; publish=drop@19+")).toEqual([2, 19, 20]);
  expect(dropsOf("handler=throw")).toEqual([]);
});

test("chance follows from the seed", () => {
  const drops = dropsOf("publish=drop%30", 7);
  expect(drops.length).toBeGreaterThan(0);
  expect(drops.length).toBeLessThan(20);
  expect(dropsOf("publish=drop%30", 7)).toEqual(drops);
  expect([8, 9, 10].map((seed) => dropsOf("publish=drop%30", seed))).not.toEqual([drops, drops, drops]);
});

test("a fail point throws, blocks its thread, or waits", async () => {
  const points = parseFailPoints(
    "handler=throw@1;handler=delay:20@2;event-loop=sleep:20@1;event-loop=spin:20@2",
    1,
  );
  expect(() => waitingFailPoint("handler", points)).toThrow("fail point handler");
  const startMs = performance.now();
  await waitingFailPoint("handler", points);
  const waitedMs = performance.now();
  expect(waitedMs - startMs).toBeGreaterThan(15);
  expect(waitingFailPoint("handler", points)).toBeUndefined();
  failPoint("event-loop", points);
  failPoint("event-loop", points);
  expect(performance.now() - waitedMs).toBeGreaterThan(35);
});

test.each([
  ["nowhere=exit", /there is no fail point "nowhere"; there are append\.before-commit, /],
  ["handler", /"handler" is not NAME=ACTION/],
  ["handler=exit@0", /is not NAME=ACTION/],
  ["handler=crash", /there is no action "crash"/],
  ["handler=delay", /delay takes a time, as in delay:100/],
  ["handler=exit:5", /exit takes no time/],
  ["handler=drop", /handler cannot drop/],
  ["publish=delay:5", /publish cannot delay/],
  ["handler=throw%101", /at most 100/],
])("%s is refused with a line that says what is wrong", (specification, message) => {
  expect(() => parseFailPoints(specification, 0)).toThrow(message);
});

test("a server whose fail points are wrong says so in one line and ends", async () => {
  const { code, stderr } = await parlance("nowhere=exit", "serve", "--port", "0", "--data-dir", newDataDir());
  expect(code).toBe(2);
  expect(stderr).toBe(
    `parlance: PARLANCE_FAILPOINTS: there is no fail point "nowhere"; there are ${failPointNames.join(", ")}\n`,
  );
});

test("a server that is no test build ignores fail points, and says so", async () => {
  const server = await serve(newDataDir(), "append.before-commit=exit;nonsense", []);
  const alice = await login(server, "alice");
  await alice.chat.sendDirect({ recipientId: "bob", content: text("hello") });
  expect(server.stderr()).toContain('"msg":"PARLANCE_FAILPOINTS is ignored');
});

test.each([
  ["before", false],
  ["after", true],
])("a message whose server is killed right %s the commit is stored once", async (when, duplicate) => {
  const dataDir = newDataDir();
  const server = await serve(dataDir, `append.${when}-commit=exit@3`);
  const alice = await login(server, "alice");
  const send = (n: number, { chat } = alice) =>
    chat.sendDirect({ recipientId: "bob", content: text(`number ${n}`), clientMessageId: `id-${n}` });
  await send(1);
  await send(2);
  await expect(send(3)).rejects.toThrow();
  expect(await server.exited).toBe("SIGKILL");

  const next = await serve(dataDir, "");
  const { result } = await send(3, await login(next, "alice"));
  expect(result).toMatchObject({ seq: 3n, duplicate });
});

test("an event that was not published is found in the log", async () => {
  const server = await serve(newDataDir(), "publish=drop@1");
  const [alice, bob] = [await login(server, "alice"), await login(server, "bob")];
  const stream = bob.stream();
  await stream.open();
  await stream.until(() => stream.events.some(({ event }) => event.case === "caughtUp"));
  await alice.chat.sendDirect({ recipientId: "bob", content: text("hello") });
  await stream.until(() => stream.texts().length === 1);
  stream.cancel();
});

test("a handler that fails is answered with INTERNAL and tells nothing of the cause", async () => {
  const server = await serve(newDataDir(), "handler=throw@2");
  const alice = await login(server, "alice");
  const failure = await failureOf((options) =>
    alice.chat.sendDirect({ recipientId: "bob", content: text("hello") }, options),
  );
  expect(failure).toMatchObject({ code: "INTERNAL" });
  expect(JSON.stringify(failure)).not.toContain("fail point");
  await alice.chat.sendDirect({ recipientId: "bob", content: text("hello") });
});

test("a restore that was cut off leaves no store that lacks its data, and can be repeated", async () => {
  const dataDir = newDataDir();
  const server = await serve(dataDir, "");
  const alice = await login(server, "alice");
  await alice.chat.sendDirect({ recipientId: "bob", content: text("hello") });
  const backup = join(dataDir, "backup");
  expect(await parlance("", "backup", backup, "--data-dir", dataDir)).toMatchObject({ code: 0 });
  await server.kill();

  const cutOff = await parlance("restore.before-publish=exit", "restore", backup, "--data-dir", dataDir);
  expect(cutOff.signal).toBe("SIGKILL");
  const refused = await parlance("", "serve", "--port", "0", "--data-dir", dataDir);
  expect(refused.stderr).toMatch(
    /^parlance: .*the restore of .* did not finish; run `parlance restore` again/,
  );
  expect(existsSync(join(dataDir, "parlance.db"))).toBe(false);
  expect(await parlance("", "restore", backup, "--data-dir", dataDir)).toMatchObject({ code: 0 });
  const again = await serve(dataDir, "");
  const { conversations } = await (await login(again, "bob")).conversations.listConversations({});
  expect(conversations).toMatchObject([{ lastSeq: 1n }]);
  await again.kill();

  // Nothing at all may be there instead, if that is what the operator wants.
  await parlance("restore.before-publish=exit", "restore", backup, "--data-dir", dataDir);
  rmSync(join(dataDir, "parlance.db.partial"));
  await serve(dataDir, "");
});
