/** Settings of groups that only a later release knows, as while nodes are updated one after another. */

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { GroupSchema } from "../../gen/parlance/chat/v1/group_pb.js";
import { toGroup } from "../../src/rules/group-events.ts";
import { createPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import { createSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { Store } from "../../src/store/store.ts";
import { settings } from "../contracts/store-support.ts";
import { groupChanges } from "../support/group-changes.ts";
import { describeWithPostgres, startPostgres } from "../support/postgres.ts";
import { makeDataDir } from "../support/serve-child.ts";

const laterField = 99;
const laterSettings = new BinaryWriter().tag(laterField, WireType.LengthDelimited).string("later").finish();
const inHex = Buffer.from(laterSettings).toString("hex");

/** Has the group say what a later release set. */
async function keepsThem(store: Store, set: (sqlValue: string) => unknown): Promise<void> {
  await groupChanges(store).createGroup("g", "owner", settings({ attributes: { a: "b" } }), ["member"]);
  await set(inHex);
  const changed = await groupChanges(store).updateGroup("g", "owner", { name: "renamed" });
  const read = await store.getGroup("g");
  const [listed] = await store.listGroups("member", "", 10);
  expect(changed.group).toEqual(read);
  expect(listed).toEqual(read);
  const told = fromBinary(GroupSchema, changed.events[0]?.body as Uint8Array);
  for (const group of [toGroup(changed.group), told]) {
    expect(group.name).toBe("renamed");
    expect(group.$unknown?.map(({ no }) => no)).toEqual([laterField]);
  }
  expect((await groupChanges(store).joinGroup("g", "guest")).group.laterSettings).toHaveLength(1);
}

test("an SQLite file keeps them through changes of others, and tells of them", async () => {
  const folder = makeDataDir();
  const path = join(folder.path, "parlance.db");
  const store = await createSqliteStore({ path });
  try {
    await keepsThem(store, (hex) => {
      const database = new DatabaseSync(path);
      database.exec(`UPDATE groups SET other_settings = x'${hex}'`);
      database.close();
    });
  } finally {
    await store.close();
    folder.remove();
  }
});

describeWithPostgres("with PostgreSQL", () => {
  test("so does a database", async () => {
    const postgres = await startPostgres();
    try {
      const url = await postgres.createDatabase();
      const store = await createPostgresStore({ url });
      try {
        await keepsThem(store, (hex) =>
          postgres.query(url, `UPDATE parlance.groups SET other_settings = decode('${hex}', 'hex')`),
        );
      } finally {
        await store.close();
      }
    } finally {
      await postgres.stop();
    }
  });
});
