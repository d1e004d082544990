/** What is left of a clock that once was ahead. */

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Channel, createChannel } from "nice-grpc";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mintToken } from "../../src/auth/mint.ts";
import { type Clock, createClock, missingClock } from "../faults/disturb/clock.ts";
import { type Clients, clientsOf } from "../support/clients.ts";
import { describeUnless } from "../support/describe-unless.ts";
import { failureOf } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";
import { makeDataDir, type ServeChild, startServe } from "../support/serve-child.ts";
import { text } from "../support/server.ts";

const missing = missingClock();
if (missing !== undefined && process.env["CI"]) throw new Error(missing);

const secret = "a secret of the tests that is long enough";
const tenYearsSeconds = 315_360_000;

describeUnless(missing, "after a clock was ten years ahead", () => {
  const data = makeDataDir();
  const channels: Channel[] = [];
  let clock: Clock;
  let server: ServeChild;

  const start = () => startServe(data.path, [], { env: { ...clock.env, PARLANCE_JWT_SECRET: secret } });
  const as = (token?: string): Clients => {
    const channel = createChannel(server.address);
    channels.push(channel);
    return clientsOf(channel, token === undefined ? {} : { authorization: `Bearer ${token}` });
  };
  const login = async (userId: string) => {
    const { sessionToken, expireTime } = await as().chat.login({
      credential: { case: "devUserId", value: userId },
    });
    return { token: sessionToken, expireTimeMs: expireTime === undefined ? 0 : timestampMs(expireTime) };
  };
  const standing = (token: string) =>
    failureOf((o) => as(token).conversations.listConversations({}, o)).then(
      ({ reasonName }) => reasonName,
      () => "OK",
    );
  /** The log's lines that say something, and by how many seconds. */
  const lines = (message: string) =>
    server
      .stderr()
      .split("\n")
      .filter((line) => line.includes(message))
      .map((line) => (JSON.parse(line) as { seconds: number }).seconds);

  let before: { token: string };
  let meanwhile: { token: string; expireTimeMs: number };

  beforeAll(async () => {
    clock = createClock();
    server = await start();
    before = await login("before");
    await as(before.token).chat.sendDirect({ recipientId: "friend", content: text("on time") });
    clock.setOffset(`+${tenYearsSeconds}s`);
    await eventually(() => lines("the clock jumped ahead").length > 0);
    meanwhile = await login("meanwhile");
    const { chat } = as(meanwhile.token);
    await chat.sendDirect({ recipientId: "friend", content: text("ten years on") });
    await as((await login("leaver")).token).chat.logout({ allDevices: true });
    clock.setOffset("+0s");
    await eventually(() => lines("the clock jumped back").length > 0);
  });
  afterAll(async () => {
    for (const channel of channels) channel.close();
    await server.kill();
    clock.close();
    data.remove();
  });

  test("each jump is logged once, with how far it was", () => {
    for (const direction of ["ahead", "back"]) {
      const [seconds, ...more] = lines(`the clock jumped ${direction}`);
      expect(more).toEqual([]);
      expect(Math.abs((seconds ?? 0) - tenYearsSeconds)).toBeLessThan(60);
    }
  });

  test("that messages get times ahead is logged once, and again at the next start", async () => {
    const { chat } = as(before.token);
    for (let n = 0; n < 3; n++) await chat.sendDirect({ recipientId: "friend", content: text("later") });
    const [seconds, ...more] = lines("the log's times are ahead");
    expect(more).toEqual([]);
    expect(Math.abs((seconds ?? 0) - tenYearsSeconds)).toBeLessThan(600);
  });

  test("a session made meanwhile is refused, before and after a restart, and others are good", async () => {
    expect(meanwhile.expireTimeMs).toBeGreaterThan(Date.now() + tenYearsSeconds * 1000);
    expect(await standing(meanwhile.token)).toBe("TOKEN_EXPIRED");
    expect(await standing(before.token)).toBe("OK");
    await server.kill();
    server = await start();
    expect(lines("the log's times are ahead")).toHaveLength(1);
    expect(await standing(meanwhile.token)).toBe("TOKEN_EXPIRED");
    expect(await standing(before.token)).toBe("OK");
    expect(await standing((await login("meanwhile")).token)).toBe("OK");
  });

  test("a user who logged out meanwhile comes in with a token that is issued now", async () => {
    const mint = () => mintToken({ userId: "leaver", ttlSeconds: 600, secret });
    await eventually(async () => (await standing(await mint())) === "OK");
  });
});
