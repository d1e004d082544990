import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { SessionRecord } from "../../src/store/store.ts";
import type { StoreUnderTest } from "./store.ts";
import { unique } from "./store-support.ts";

function session(userId: string, deviceId: string): SessionRecord {
  const now = Date.now();
  return {
    tokenHash: new Uint8Array(randomBytes(32)),
    sessionId: unique("session"),
    userId,
    deviceId,
    platform: 2,
    createTimeMs: now,
    expireTimeMs: now - 1,
  };
}

export function userTests(tested: () => StoreUnderTest): void {
  test("a device is made once, keeps what was given, and counts how often it is opened", async () => {
    const { store } = tested();
    const userId = unique("u");
    const made = { userId, deviceId: "d", platform: 3, name: "phone", position: undefined, opens: 1 };
    expect(await store.openDevice(userId, "d", 3, "phone")).toEqual(made);
    expect(await store.openDevice(userId, "d", 0, "")).toEqual({ ...made, opens: 2 });
    expect(await store.openDevice(userId, "d", 4, "tablet")).toEqual({
      ...made,
      platform: 4,
      name: "tablet",
      opens: 3,
    });
    expect(await store.openDevice(userId, "other", 0, "")).toMatchObject({ platform: 0, name: "", opens: 1 });
  });

  test("cursors never go back", async () => {
    const { store } = tested();
    const userId = unique("u");
    const save = (position: number, deviceId = "d") => store.saveCursors([{ userId, deviceId, position }]);
    const position = async (deviceId = "d") => (await store.openDevice(userId, deviceId, 0, "")).position;
    await save(0);
    expect(await position()).toBe(0);
    await save(7);
    await save(5);
    await store.saveCursors([
      { userId, deviceId: "d", position: 6 },
      { userId, deviceId: "other", position: 3 },
    ]);
    expect(await position()).toBe(7);
    expect(await position("other")).toBe(3);
    await store.saveCursors([]);
    await tested().reopen();
    expect(await tested().store.openDevice(userId, "d", 0, "")).toMatchObject({ position: 7 });
  });

  test("a session is found by its token's hash, also when it has expired", async () => {
    const { store } = tested();
    const kept = session(unique("u"), "d");
    await store.createSession(kept, "my phone");
    expect(await store.findSession(kept.tokenHash)).toEqual(kept);
    expect(await store.findSession(new Uint8Array(randomBytes(32)))).toBeUndefined();
    expect(await store.openDevice(kept.userId, "d", 0, "")).toMatchObject({ platform: 2, name: "my phone" });
  });

  test("a session that expired over a day ago is dropped when its user logs in again", async () => {
    const { store } = tested();
    const userId = unique("u");
    const old = { ...session(userId, "d"), expireTimeMs: Date.now() - 90_000_000 };
    const recent = session(userId, "d");
    await store.createSession(old, "");
    await store.createSession(recent, "");
    expect(await store.findSession(old.tokenHash)).toBeUndefined();
    expect(await store.findSession(recent.tokenHash)).toEqual(recent);
  });

  test("sessions end for one device or for all, and older host tokens with them", async () => {
    const { store } = tested();
    const userId = unique("u");
    const sessions = ["a", "b", "c"].map((deviceId) => session(userId, deviceId));
    for (const one of sessions) await store.createSession(one, "");
    const found = async () =>
      (await Promise.all(sessions.map((one) => store.findSession(one.tokenHash)))).map(
        (one) => one?.deviceId,
      );
    expect(await store.tokensRefusedBeforeMs(userId, "a")).toBe(0);
    const before = Date.now();
    const lastLogoutId = await store.lastLogoutId();
    const first = await store.deleteSessions(userId, "a");
    expect(first).toBe(lastLogoutId + 1);
    expect(await store.readLogouts(lastLogoutId, 10)).toEqual([{ id: first, userId, deviceId: "a" }]);
    expect(await found()).toEqual([undefined, "b", "c"]);
    expect(await store.tokensRefusedBeforeMs(userId, "a")).toBeGreaterThanOrEqual(before);
    expect(await store.tokensRefusedBeforeMs(userId, "b")).toBe(0);
    const second = await store.deleteSessions(userId, undefined);
    expect(await store.lastLogoutId()).toBe(second);
    expect(await store.readLogouts(first, 10)).toEqual([{ id: second, userId, deviceId: undefined }]);
    expect(await store.readLogouts(lastLogoutId, 1)).toHaveLength(1);
    expect(await found()).toEqual([undefined, undefined, undefined]);
    expect(await store.tokensRefusedBeforeMs(userId, "new")).toBeGreaterThanOrEqual(before);
    expect(await store.tokensRefusedBeforeMs(unique("other"), "a")).toBe(0);
  });

  test("logouts are numbered in the order in which they took effect, for all who share the store", async () => {
    const { store } = tested();
    const [a, b] = [unique("a"), unique("b")];
    const before = await store.lastLogoutId();
    expect(await store.readLogouts(before, 10)).toEqual([]);
    await Promise.all([
      store.deleteSessions(a, "d"),
      store.deleteSessions(b, undefined),
      store.deleteSessions(a, undefined),
    ]);
    const logouts = await store.readLogouts(before, 10);
    expect(logouts.map(({ id }) => id)).toEqual([before + 1, before + 2, before + 3]);
    const whose = logouts.map(({ userId, deviceId }) => ({ userId, deviceId }));
    expect(whose.filter(({ userId }) => userId === a)).toEqual([
      { userId: a, deviceId: "d" },
      { userId: a, deviceId: undefined },
    ]);
    expect(whose).toContainEqual({ userId: b, deviceId: undefined });
    expect(await store.lastLogoutId()).toBe(before + 3);
    expect(await store.readLogouts(before + 1, 1)).toEqual(logouts.slice(1, 2));
    await tested().reopen();
    expect(await tested().store.lastLogoutId()).toBe(before + 3);
    expect(await tested().store.readLogouts(before, 10)).toEqual(logouts);
  });

  test("when users were last active is kept for those who were", async () => {
    const { store } = tested();
    const [a, b, c] = [unique("a"), unique("b"), unique("c")];
    await store.setLastActive([
      { userId: a, timeMs: 1_000 },
      { userId: b, timeMs: 2_000 },
    ]);
    await store.setLastActive([{ userId: a, timeMs: 3_000 }]);
    await store.deleteSessions(c, undefined);
    expect(await store.getLastActive([a, b, c, a])).toEqual(
      new Map([
        [a, 3_000],
        [b, 2_000],
      ]),
    );
  });
}
