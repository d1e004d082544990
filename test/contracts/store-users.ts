import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { SessionRecord } from "../../src/model/records.ts";
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

  test("a new device beyond the most a user has takes the place of the one whose cursor is lowest", async () => {
    const { store } = tested();
    const [userId, other] = [unique("u"), unique("o")];
    const open = (deviceId: string, most = 3) => store.openDevice(userId, deviceId, 1, deviceId, most);
    const opens: Record<string, number> = {};
    await store.openDevice(other, "a", 0, "", 3);
    await store.saveCursors([{ userId: other, deviceId: "a", position: 0 }]);
    for (const device of ["a", "b", "c"]) opens[device] = (await open(device)).opens;
    for (let n = 0; n < 4; n++) opens["b"] = (await open("b")).opens;
    await store.saveCursors([
      { userId, deviceId: "a", position: 30 },
      { userId, deviceId: "b", position: 10 },
      { userId, deviceId: "c", position: 20 },
    ]);
    // One that is there takes nobody's place.
    await open("b");
    opens["b"] = 6;
    const added = await open("d");
    expect(added).toMatchObject({ deviceId: "d", name: "d", position: undefined });
    await store.saveCursors([{ userId, deviceId: "d", position: 40 }]);
    expect(await open("a")).toMatchObject({ position: 30 });
    expect(await open("c")).toMatchObject({ position: 20 });
    const back = await open("b");
    expect(back).toMatchObject({ position: undefined });
    // Or streams of before would count as newer.
    expect(back.opens).toBeGreaterThan(opens["b"] as number);
    expect(await open("a")).toMatchObject({ position: 30 });
    expect((await store.openDevice(other, "a", 0, "", 3)).position).toBe(0);
    // Fewer are allowed than there are.
    await open("e", 2);
    expect(await open("c", 0)).toMatchObject({ position: undefined });
  });

  test("a device that was just logged out is not the one that makes room", async () => {
    const { store } = tested();
    const userId = unique("u");
    for (const device of ["a", "b"]) await store.openDevice(userId, device, 0, "", 2);
    await store.deleteSessions(userId, "a");
    await store.saveCursors([{ userId, deviceId: "b", position: 5 }]);
    await store.openDevice(userId, "c", 0, "", 2);
    expect(await store.tokensRefusedBeforeMs(userId, "a")).toBeGreaterThan(0);
    expect((await store.openDevice(userId, "b", 0, "", 0)).position).toBeUndefined();
  });

  test("of sessions beyond the most a user has, those made first are dropped", async () => {
    const { store } = tested();
    const [userId, other] = [unique("u"), unique("o")];
    const most = { sessions: 3, devices: 2 };
    const theirs = session(other, "d");
    await store.createSession(theirs, "", most);
    const made: SessionRecord[] = [];
    for (let n = 0; n < 6; n++) {
      const next = {
        ...session(userId, `d${n}`),
        createTimeMs: Date.now() + n,
        expireTimeMs: Date.now() + 60_000,
      };
      await store.createSession(next, "", most);
      made.push(next);
    }
    const found = await Promise.all(made.map(({ tokenHash }) => store.findSession(tokenHash)));
    expect(found.map((one) => one?.deviceId)).toEqual([undefined, undefined, undefined, "d3", "d4", "d5"]);
    expect(await store.findSession(theirs.tokenHash)).toEqual(theirs);
    // Devices of logins count as well: of six, two are known.
    expect(await store.openDevice(userId, "d5", 0, "")).toMatchObject({ platform: 2 });
    expect(await store.openDevice(userId, "d0", 0, "")).toMatchObject({ platform: 0 });
  });

  test("a session is found by its token's hash, also when it has expired", async () => {
    const { store } = tested();
    const kept = session(unique("u"), "d");
    await store.createSession(kept, "my phone");
    expect(await store.findSession(kept.tokenHash)).toEqual(kept);
    expect(await store.findSession(new Uint8Array(randomBytes(32)))).toBeUndefined();
    expect(await store.openDevice(kept.userId, "d", 0, "")).toMatchObject({ platform: 2, name: "my phone" });
  });

  test("of many sessions of many devices a login drops those that expired long ago, and no others", async () => {
    const { store } = tested();
    const userId = unique("u");
    const devices = ["a", "b", "c", "d", "e"];
    const expired = devices.map((device) => ({
      ...session(userId, device),
      expireTimeMs: Date.now() - 90_000_000,
    }));
    const live = devices.map((device) => session(userId, device));
    for (const each of [...live, ...expired]) await store.createSession(each, "");
    await store.createSession(session(userId, "c"), "");
    for (const { tokenHash } of expired) expect(await store.findSession(tokenHash)).toBeUndefined();
    for (const each of live) expect(await store.findSession(each.tokenHash)).toEqual(each);
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

  test("bytes that users stored add up, whoever counts them and how often a user is named", async () => {
    const { store } = tested();
    const [a, b, c] = [unique("a"), unique("b"), unique("c")];
    const entries = (...all: Array<[string, number]>) => all.map(([userId, bytes]) => ({ userId, bytes }));
    await store.setLastActive([{ userId: a, timeMs: 1_000 }]);
    expect(await store.addStoredBytes(entries([a, 10], [b, 2 ** 40], [a, 5]))).toEqual(
      new Map([
        [a, 15],
        [b, 2 ** 40],
      ]),
    );
    const both = await Promise.all([
      store.addStoredBytes(entries([a, 1])),
      store.addStoredBytes(entries([a, 2])),
    ]);
    expect(both.map((totals) => totals.get(a))).toEqual([16, 18]);
    await tested().reopen();
    const reopened = tested().store;
    expect(await reopened.addStoredBytes(entries([a, 0], [b, 1], [c, 0]))).toEqual(
      new Map([
        [a, 18],
        [b, 2 ** 40 + 1],
        [c, 0],
      ]),
    );
    expect(await reopened.addStoredBytes([])).toEqual(new Map());
    // What else is kept of them stays as it was.
    expect(await reopened.getLastActive([a, b, c])).toEqual(new Map([[a, 1_000]]));
  });
}
