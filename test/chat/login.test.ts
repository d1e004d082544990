import { timestampMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Platform } from "../../gen/parlance/chat/v1/device_pb.js";
import { CloseReason } from "../../gen/parlance/chat/v1/event_pb.js";
import { mintToken } from "../../src/auth/mint.ts";
import { failureOf } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";

const secret = "a secret of the tests that is long enough";
const ttlSeconds = 3_600;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ jwtSecret: secret, sessionTtlSeconds: ttlSeconds, maxGroupMembers: 321 });
});
afterAll(() => server.close());

const dev = (userId: string) => ({ case: "devUserId" as const, value: userId });

/** The reason the caller's token is refused with, or "OK". */
async function standing({ conversations }: Pick<UserClients, "conversations">): Promise<string> {
  return failureOf((options) => conversations.listConversations({}, options)).then(
    ({ code, reasonName }) => `${code} ${reasonName}`,
    () => "OK",
  );
}

describe("Login", () => {
  test("answers who the caller is, until when, and what the server allows", async () => {
    const { chat } = server.as({});
    const before = Date.now();
    const answer = await chat.login({ credential: dev("Zoë 🙂") });
    expect(answer).toMatchObject({
      userId: "Zoë 🙂",
      sessionToken: expect.stringMatching(/^parlance_[\w-]{43}$/),
      sessionId: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}$/),
      limits: {
        maxContentBytes: 65_536,
        maxGroupMembers: 321,
        maxInFlight: 256,
        pingInterval: { seconds: 20n, nanos: 0 },
      },
    });
    expect(answer.limits?.dedupeWindow).toBeUndefined();
    expect(answer.limits?.recallWindow).toBeUndefined();
    const expireMs = answer.expireTime ? timestampMs(answer.expireTime) : 0;
    expect(expireMs).toBeGreaterThanOrEqual(before + ttlSeconds * 1000);
    expect(expireMs).toBeLessThanOrEqual(Date.now() + ttlSeconds * 1000);
  });

  test("gives another session and token each time, and all of them work", async () => {
    const clients = await Promise.all(Array.from({ length: 5 }, () => server.login("often")));
    expect(new Set(clients.map(({ token }) => token)).size).toBe(5);
    expect(new Set(clients.map(({ sessionId }) => sessionId)).size).toBe(5);
    expect(await Promise.all(clients.map(standing))).toEqual(clients.map(() => "OK"));
  });

  test("tells a stream the same limits", async () => {
    const { chat, stream } = await server.login("limited");
    const { limits } = await chat.login({ credential: dev("limited") });
    const open = stream();
    expect((await open.open()).limits).toEqual(limits);
    open.cancel();
  });

  test("takes a token of the host, and a session never outlives it", async () => {
    const { chat } = server.as({});
    for (const [hostTtl, expected] of [
      [60, 60],
      [2 * ttlSeconds, ttlSeconds],
    ] as const) {
      const token = await mintToken({ userId: "from the host", ttlSeconds: hostTtl, secret });
      const now = Date.now();
      const answer = await chat.login({ credential: { case: "token", value: token } });
      expect(answer.userId).toBe("from the host");
      const leftMs = (answer.expireTime ? timestampMs(answer.expireTime) : 0) - now;
      expect(Math.abs(leftMs - expected * 1000)).toBeLessThan(2_000);
    }
  });

  test("is good across a restart of the server", async () => {
    const { as, restart } = server;
    const { token } = await server.login("patient");
    await restart();
    expect(await standing(as({ authorization: `Bearer ${token}` }))).toBe("OK");
    expect(await standing(as({ authorization: `bearer ${token}` }))).toBe("OK");
    expect(await standing(as({ authorization: `Bearer ${token}x` }))).toBe("UNAUTHENTICATED INVALID_TOKEN");
  });

  test("keeps no token where a copy of the data or the log would give it away", async () => {
    const { token } = await server.login("careful");
    const { readdirSync, readFileSync } = await import("node:fs");
    const { join } = await import("node:path");
    for (const file of readdirSync(server.dataDir)) {
      expect(readFileSync(join(server.dataDir, file)).includes(token)).toBe(false);
    }
    expect(JSON.stringify(server.logs)).not.toContain(token);
    expect(JSON.stringify(server.logs)).not.toContain(token.slice(9));
  });
});

describe("a device", () => {
  test("is called default when nobody names it, by a session token as by one of the host", async () => {
    const alice = await server.login("alice");
    const named = await server.login("alice", "default");
    const token = await mintToken({ userId: "alice", ttlSeconds: 60, secret });
    const host = server.as({ authorization: `Bearer ${token}` });
    const first = alice.stream();
    await first.open();
    for (const clients of [named, host]) {
      const stream = clients.stream();
      await stream.open();
      await eventually(() => server.server.stats().sessions === 1);
      if (clients === host) stream.cancel();
    }
    expect(first.all("closed")).toMatchObject([{ reason: CloseReason.REPLACED }]);
    await eventually(() => server.server.stats().sessions === 0);
  });

  test("is that of the login, whatever the metadata of a call says", async () => {
    const { token } = await server.login("metadata", "phone");
    const authorization = `Bearer ${token}`;
    const first = server.as({ authorization }).stream();
    await first.open();
    const second = server.as({ authorization, "parlance-device": "tablet" }).stream();
    await second.open();
    expect(await first.ended).toBeInstanceOf(Error);
    expect(first.all("closed")).toMatchObject([{ reason: CloseReason.REPLACED }]);
    second.cancel();
  });

  test("of a host token is named by the metadata", async () => {
    const token = await mintToken({ userId: "host user", ttlSeconds: 60, secret });
    const authorization = `Bearer ${token}`;
    const streams = ["phone", "tablet"].map((device) =>
      server.as({ authorization, "parlance-device": device }).stream(),
    );
    await Promise.all(streams.map((stream) => stream.open()));
    const { presence } = server.as({ authorization });
    expect((await presence.getPresence({ userIds: ["host user"] })).presences[0]?.platforms).toHaveLength(2);
    for (const stream of streams) stream.cancel();
  });

  test("gets everything, beside the others of its user and the sender's own", async () => {
    const devices = ["phone", "tablet", "desk"];
    const ofBob = await Promise.all(devices.map((device) => server.login("bob", device)));
    const streams = ofBob.map(({ stream }) => stream());
    await Promise.all(streams.map((stream) => stream.open()));
    const carol = await server.login("carol");
    await carol.chat.sendDirect({ recipientId: "bob", content: text("to bob") });
    await ofBob[0]?.chat.sendDirect({ recipientId: "carol", content: text("from bob's phone") });
    for (const stream of streams) {
      await stream.until(() => stream.texts().length === 2);
      expect(stream.texts()).toEqual(["to bob", "from bob's phone"]);
      stream.cancel();
    }
  });

  test.each(["", "x".repeat(128), "Gerät 1"])("may be called %j", async (deviceId) => {
    const { chat } = server.as({});
    const answer = await chat.login({
      credential: dev("namer"),
      device: { deviceId, platform: Platform.WEB, name: "a name" },
    });
    expect(answer.userId).toBe("namer");
  });

  test("is refused with a name or platform that is none", async () => {
    const { chat } = server.as({});
    for (const device of [
      { deviceId: "x".repeat(129) },
      { name: "ö".repeat(65) },
      { platform: 99 as Platform },
    ]) {
      expect(
        await failureOf((options) => chat.login({ credential: dev("namer"), device }, options)),
      ).toMatchObject({
        code: "INVALID_ARGUMENT",
        reasonName: "INVALID_REQUEST",
      });
    }
  });
});

describe("Logout", () => {
  test("ends the tokens and streams of the caller's device, counts the streams, and leaves the rest alone", async () => {
    const phone = await server.login("dora", "phone");
    const samePhone = await server.login("dora", "phone");
    const desk = await server.login("dora", "desk");
    const other = await server.login("other", "phone");
    const streams = [phone, desk, other].map(({ stream }) => stream());
    await Promise.all(streams.map((stream) => stream.open()));
    expect(await samePhone.chat.logout({})).toMatchObject({ closedSessions: 1 });
    const [ofPhone, ofDesk, ofOther] = streams;
    expect(await failureOfStream(ofPhone?.ended)).toBe("UNAUTHENTICATED");
    expect(ofPhone?.all("closed")).toMatchObject([{ reason: CloseReason.LOGGED_OUT }]);
    expect(ofPhone?.all("closed")[0]?.retryAfter).toBeUndefined();
    expect(await Promise.all([phone, samePhone, desk, other].map(standing))).toEqual([
      "UNAUTHENTICATED INVALID_TOKEN",
      "UNAUTHENTICATED INVALID_TOKEN",
      "OK",
      "OK",
    ]);
    await other.chat.sendDirect({ recipientId: "dora", content: text("still here?") });
    for (const stream of [ofDesk, ofOther]) {
      await stream?.next("message");
      stream?.cancel();
    }
    expect(ofPhone?.texts()).toEqual([]);
  });

  test("of all devices ends everything the user has", async () => {
    const clients = await Promise.all(["a", "b", "c", "d"].map((device) => server.login("emil", device)));
    const streams = clients.slice(0, 3).map(({ stream }) => stream());
    await Promise.all(streams.map((stream) => stream.open()));
    expect(await clients[3]?.chat.logout({ allDevices: true })).toMatchObject({ closedSessions: 3 });
    for (const stream of streams) {
      await stream.ended;
      expect(stream.all("closed")).toMatchObject([{ reason: CloseReason.LOGGED_OUT }]);
    }
    expect(new Set(await Promise.all(clients.map(standing)))).toEqual(
      new Set(["UNAUTHENTICATED INVALID_TOKEN"]),
    );
    expect(await standing(await server.login("emil", "a"))).toBe("OK");
  });

  test("without a stream closes none", async () => {
    const { chat } = await server.login("silent");
    expect(await chat.logout({})).toMatchObject({ closedSessions: 0 });
  });

  test("refuses host tokens that were issued before", async () => {
    const token = await mintToken({ userId: "host logout", ttlSeconds: 600, secret });
    const host = server.as({ authorization: `Bearer ${token}` });
    const elsewhere = server.as({ authorization: `Bearer ${token}`, "parlance-device": "elsewhere" });
    expect([await standing(host), await standing(elsewhere)]).toEqual(["OK", "OK"]);
    await host.chat.logout({});
    expect([await standing(host), await standing(elsewhere)]).toEqual([
      "UNAUTHENTICATED SESSION_LOGGED_OUT",
      "OK",
    ]);
  });

  test("outruns a call with the same token that is not known yet", async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, (_, n) => server.login(`racer-${n}`)));
    // After a restart the server has to look every token up.
    await server.restart();
    await Promise.all(
      clients.map(async (racer) => {
        const second = server.as({ authorization: `Bearer ${racer.token}` });
        await Promise.all([racer.chat.logout({}), ...Array.from({ length: 5 }, () => standing(second))]);
        expect(await standing(second)).toBe("UNAUTHENTICATED INVALID_TOKEN");
      }),
    );
  });
});

test("a stream that opens while its user logs out ends too", async () => {
  for (let n = 0; n < 40; n++) {
    const leaver = await server.login(`leaver-${n}`);
    const stream = leaver.stream().send({ case: "open", value: {} });
    // Later and later, to meet the opening at all its stages.
    for (let turns = 0; turns < n; turns++) await new Promise(setImmediate);
    await leaver.chat.logout({ allDevices: n % 2 === 0 });
    expect(await failureOfStream(stream.ended)).toBe("UNAUTHENTICATED");
  }
});

test("a stream ends when its token expires, and says so", async () => {
  // The others are not to grow older with it.
  const server = await startTestServer({ jwtSecret: secret });
  const token = await mintToken({ userId: "brief", ttlSeconds: 60, secret });
  const { chat } = server.as({});
  const { sessionToken } = await chat.login({ credential: { case: "token", value: token } });
  const clients = server.as({ authorization: `Bearer ${sessionToken}` });
  const stream = clients.stream();
  await stream.open();
  server.clock.turn(60_000);
  expect(await failureOfStream(stream.ended)).toBe("UNAUTHENTICATED");
  expect(stream.all("closed")).toMatchObject([{ reason: CloseReason.TOKEN_EXPIRED }]);
  expect(await standing(clients)).toBe("UNAUTHENTICATED TOKEN_EXPIRED");
  await server.close();
});

describe("presence", () => {
  const presenceOf = async ({ presence }: UserClients, userId: string) =>
    (await presence.getPresence({ userIds: [userId] })).presences[0];

  test("is told in the order asked, also of users nobody knows", async () => {
    const { presence } = await server.login("asker");
    const userIds = ["nobody", "asker", "nobody"];
    const { presences } = await presence.getPresence({ userIds });
    expect(presences.map(({ userId, online }) => [userId, online])).toEqual(
      userIds.map((userId) => [userId, false]),
    );
    expect(presences[0]?.lastActiveTime).toBeUndefined();
  });

  test("begins with an open stream, not with a login, and names each device's platform", async () => {
    const asker = await server.login("asker");
    const { chat } = server.as({});
    const open = async (deviceId: string, platform: Platform) => {
      const { sessionToken } = await chat.login({ credential: dev("seen"), device: { deviceId, platform } });
      expect((await presenceOf(asker, "seen"))?.platforms).not.toContain(platform);
      const stream = server.as({ authorization: `Bearer ${sessionToken}` }).stream();
      await stream.open();
      return stream;
    };
    const web = await open("browser", Platform.WEB);
    expect(await presenceOf(asker, "seen")).toMatchObject({ online: true, platforms: [Platform.WEB] });
    const phone = await open("phone", Platform.ANDROID);
    expect((await presenceOf(asker, "seen"))?.platforms.toSorted()).toEqual([Platform.WEB, Platform.ANDROID]);
    web.cancel();
    await eventually(async () => (await presenceOf(asker, "seen"))?.platforms.length === 1);
    expect(await presenceOf(asker, "seen")).toMatchObject({ online: true, platforms: [Platform.ANDROID] });
    const before = Date.now();
    phone.cancel();
    await eventually(async () => (await presenceOf(asker, "seen"))?.online === false);
    const gone = await presenceOf(asker, "seen");
    expect(gone?.platforms).toEqual([]);
    expect(gone?.lastActiveTime && timestampMs(gone.lastActiveTime)).toBeGreaterThanOrEqual(before - 1);
  });

  test("ends with a logout, and those who watch are told", async () => {
    const watcher = (await server.login("watcher")).stream();
    await watcher.open();
    watcher.send({ case: "watchPresence", value: { userIds: ["watched"] } }, "w");
    await watcher.next("done");
    await watcher.next("presence", ({ online }) => !online);
    const watched = await server.login("watched");
    const stream = watched.stream();
    await stream.open();
    await watcher.next("presence", ({ online }) => online);
    await watched.chat.logout({});
    await watcher.until(() => watcher.all("presence").length === 3, "a third presence");
    expect(watcher.all("presence").map(({ userId, online }) => `${userId} ${online}`)).toEqual([
      "watched false",
      "watched true",
      "watched false",
    ]);
    watcher.cancel();
  });

  test("of when a user was last there outlives the server", async () => {
    const asker = await server.login("asker");
    const stream = (await server.login("keeper")).stream();
    await stream.open();
    stream.cancel();
    await eventually(async () => (await presenceOf(asker, "keeper"))?.online === false);
    const before = await presenceOf(asker, "keeper");
    expect(before?.lastActiveTime).toBeDefined();
    await server.restart();
    expect(await presenceOf(await server.login("asker"), "keeper")).toEqual(before);
  });
});

/** The code a stream ended with. */
async function failureOfStream(ended: Promise<unknown> | undefined): Promise<string> {
  return (
    await failureOf(async () => {
      throw await ended;
    })
  ).code;
}
