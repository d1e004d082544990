/** What happens to a store in PostgreSQL when a replica takes over. */

import { once } from "node:events";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import pg from "pg";
import { afterEach, expect, test } from "vitest";
import { ErrorReason } from "../../src/model/errors.ts";
import type { Appended } from "../../src/model/records.ts";
import { clientConfig } from "../../src/store/postgres/connection/connections.ts";
import { Identity } from "../../src/store/postgres/connection/identity.ts";
import { createPostgresStore, type PostgresStoreOptions } from "../../src/store/postgres/postgres-store.ts";
import type { Store } from "../../src/store/store.ts";
import { refused, toUser } from "../contracts/store-support.ts";
import { eventually } from "../support/eventually.ts";
import { groupChanges } from "../support/group-changes.ts";
import { describeWithPostgres, startPostgres, type TestPostgres } from "../support/postgres.ts";

describeWithPostgres("failover of PostgreSQL", () => {
  const closing: Array<() => Promise<void>> = [];

  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  /** Starts a primary behind an address that can be moved to another server. */
  async function startBehindAddress() {
    const primary = await startPostgres();
    closing.push(() => primary.close());
    const address = await startAddress(primary);
    closing.push(() => address.close());
    const database = new URL(await primary.createDatabase()).pathname;
    return { primary, address, url: `postgresql://postgres@127.0.0.1:${address.port}${database}` };
  }

  async function open(options: PostgresStoreOptions) {
    const store = await createPostgresStore(options);
    closing.push(() => store.close());
    const replaced: string[] = [];
    store.onEnding((ending) => replaced.push(ending));
    return { store, replaced };
  }

  test("a store that was restored from a dump has a new epoch, and one that was only started anew keeps its own", async () => {
    const server = await startPostgres();
    closing.push(() => server.close());
    const url = await server.createDatabase();
    const { store } = await open({ url });
    const sent = await store.append(toUser("a", "b"));
    const copy = await open({ url: await server.restoreDump(url) });
    expect(copy.store.epoch).not.toBe(store.epoch);
    expect(await copy.store.lastPosition()).toBe(sent.position);
    await server.stop();
    await server.start();
    expect((await open({ url })).store.epoch).toBe(store.epoch);
  });

  test("after a failover the store has a new epoch, and every process hears of it once", async () => {
    const { primary, address, url } = await startBehindAddress();
    const [one, two] = [await open({ url }), await open({ url })];
    const before = await one.store.append(toUser("a", "b"));
    const standby = await primary.createStandby();
    closing.push(() => standby.close());
    await caughtUp(standby, url, before);
    await primary.stop(true);
    await standby.promote();
    address.moveTo(standby);
    for (const { store, replaced } of [one, two]) {
      await eventually(async () => {
        await refused(store.append(toUser("a", "b")), ErrorReason.STORE_UNAVAILABLE);
        return replaced.length > 0;
      });
      await refused(store.lastPosition(), ErrorReason.STORE_UNAVAILABLE);
      await refused(groupChanges(store).joinGroup("g", "u"), ErrorReason.STORE_UNAVAILABLE);
      expect(replaced).toHaveLength(1);
    }
    const again = await open({ url });
    expect(again.store.epoch).toMatch(/^[a-z2-7]{10}$/);
    expect(again.store.epoch).not.toBe(one.store.epoch);
    expect(again.store.salt).toBe(one.store.salt);
    expect((await open({ url })).store.epoch).toBe(again.store.epoch);
    expect(await again.store.append(toUser("a", "b"))).toMatchObject({ seq: 2, position: 2 });
  });

  test("a failover that loses nothing goes unnoticed where that was promised", async () => {
    const { primary, address, url } = await startBehindAddress();
    const { store, replaced } = await open({ url, failover: "lossless" });
    const before = await store.append(toUser("a", "b", { clientMessageId: "1" }));
    const standby = await primary.createStandby();
    closing.push(() => standby.close());
    await caughtUp(standby, url, before);
    await primary.stop(true);
    await standby.promote();
    address.moveTo(standby);
    const after = await untilAppended(store, toUser("a", "b", { clientMessageId: "2" }));
    expect(after).toMatchObject({ seq: 2, position: 2 });
    expect(await store.append(toUser("a", "b", { clientMessageId: "1" }))).toEqual({
      ...before,
      duplicate: true,
    });
    expect(replaced).toEqual([]);
    expect((await open({ url })).store.epoch).toBe(store.epoch);
  });

  test("a promise to lose nothing that was not kept is found out", async () => {
    const { primary, address, url } = await startBehindAddress();
    const { store, replaced } = await open({ url, failover: "lossless" });
    const first = await store.append(toUser("a", "b"));
    const standby = await primary.createStandby();
    closing.push(() => standby.close());
    await caughtUp(standby, url, first);
    await standby.stop();
    await store.append(toUser("a", "b"));
    await primary.stop(true);
    await standby.start();
    await standby.promote();
    address.moveTo(standby);
    await eventually(async () => {
      await store.append(toUser("a", "b")).catch(() => {});
      return replaced.length > 0;
    });
    expect((await open({ url })).store.epoch).not.toBe(store.epoch);
  });

  test("an answer on a new connection that is older than the last commit is no failover", async () => {
    const { url } = await startBehindAddress();
    const { store } = await open({ url });
    const client = new pg.Client({ ...clientConfig(url, "test"), options: "-c search_path=parlance" });
    await client.connect();
    closing.push(() => client.end());
    const identity = new Identity("new-epoch");
    const replaced: string[] = [];
    identity.onEnding((ending) => replaced.push(ending));
    await identity.verify(client);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    /** Answers as the database does, later. */
    const slow = {
      async query(text: string, values?: unknown[]) {
        const answer = await client.query(text, values);
        await held;
        return answer;
      },
    } as unknown as pg.ClientBase;
    const verifying = identity.verify(slow);
    // The client takes its statements in order, so the answer that is held is older.
    await client.query("SELECT 1");
    store.onAppended((events) => identity.saw(events));
    await store.append(toUser("a", "b"));
    release();
    await verifying;
    expect(replaced).toEqual([]);
    expect((await open({ url })).store.epoch).toBe(store.epoch);
  });

  test("a server that became a standby is not used", async () => {
    const { primary, address, url } = await startBehindAddress();
    const { store } = await open({ url });
    const before = await store.append(toUser("a", "b"));
    const standby = await primary.createStandby();
    closing.push(() => standby.close());
    await caughtUp(standby, url, before);
    address.moveTo(standby);
    await refused(store.append(toUser("a", "b")), ErrorReason.STORE_UNAVAILABLE);
    await refused(store.lastPosition(), ErrorReason.STORE_UNAVAILABLE);
    await expect(createPostgresStore({ url })).rejects.toThrow(/is a standby, which cannot write/);
    address.moveTo(primary);
    expect(await untilAppended(store, toUser("a", "b"))).toMatchObject({ seq: 2 });
  });
});

async function untilAppended(store: Store, draft: Parameters<Store["append"]>[0]): Promise<Appended> {
  let appended: Appended | undefined;
  await eventually(async () => {
    appended = await store.append(draft).catch(() => undefined);
    return appended !== undefined;
  });
  return appended as Appended;
}

/** Waits until a replica has an event. */
async function caughtUp(standby: TestPostgres, url: string, { position }: Appended): Promise<void> {
  const there = standby.urlOf(new URL(url).pathname.slice(1));
  await eventually(async () => {
    const [row] = await standby.query(there, "SELECT last_position::int AS last FROM parlance.log_head");
    return row?.["last"] >= position;
  });
}

/** An address that leads to one server or another. */
interface Address {
  readonly port: number;
  /** Leads new connections elsewhere and cuts those there are. */
  moveTo(server: TestPostgres): void;
  close(): Promise<void>;
}

async function startAddress(first: TestPostgres): Promise<Address> {
  let target = first.port;
  const sockets = new Set<Socket>();
  const server: Server = createServer((near) => {
    const far = connectTcp(target, "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as { port: number }).port,
    moveTo(other) {
      target = other.port;
      cut();
    },
    async close() {
      const closed = once(server, "close");
      server.close();
      cut();
      await closed;
    },
  };
}
