/**
 * Makes the fixture of a store as this version writes it: `node
 * scripts/make-store-fixture.ts` fills a real server and keeps its file and
 * what its users see as `test/fixtures/store-v<schema>.*`. A fixture is made
 * once, before the next schema version is begun, and never again. Run `npm run
 * format` after it.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { anyPack, StringValueSchema, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Platform } from "../gen/parlance/chat/v1/device_pb.js";
import { JoinPolicy, Role } from "../gen/parlance/chat/v1/group_pb.js";
import { backupStore } from "../src/store/sqlite/file/backup.ts";
import { schemaVersion } from "../src/store/sqlite/file/migrations.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../test/support/server.ts";
import { openFixture } from "../test/support/store-fixture.ts";
import { type UserDevices, viewStore } from "../test/support/store-view.ts";

const users: UserDevices[] = [
  { userId: "alice", deviceIds: ["phone", "laptop"] },
  { userId: "bob", deviceIds: ["default"] },
  { userId: "carol", deviceIds: ["default", "lost"] },
  { userId: "dave", deviceIds: ["default"] },
  { userId: "Ünal 🦉", deviceIds: ["default"] },
];

const base = join(import.meta.dirname, `../test/fixtures/store-v${schemaVersion}`);
if (existsSync(`${base}.db.gz`)) throw new Error(`${base}.db.gz exists; it is made once`);
const folder = mkdtempSync(join(tmpdir(), "parlance-fixture-"));
const server = await startTestServer();
try {
  const tokens = await fill(server);
  const copy = join(folder, "copy.db");
  backupStore(server.server.dataFile, copy);
  writeFileSync(`${base}.db.gz`, gzipSync(readFileSync(copy), { level: 9 }));
  const opened = await openFixture(`${base}.db.gz`);
  const view = await viewStore(opened.server, users);
  await opened.close();
  writeFileSync(`${base}.json`, `${JSON.stringify({ users, tokens, view }, undefined, 1)}\n`);
} finally {
  await server.close();
  rmSync(folder, { recursive: true });
}

/** Lives a little of everything that leaves something in a store. */
async function fill(server: TestServer) {
  const { chat } = server.as({});
  await chat.login({
    credential: { case: "devUserId", value: "alice" },
    device: { deviceId: "laptop", platform: Platform.DESKTOP, name: "Alice's laptop" },
  });
  const alice = await server.login("alice", "phone");
  const [bob, carol, dave, unal] = (await Promise.all(
    ["bob", "carol", "dave", "Ünal 🦉"].map((userId) => server.login(userId)),
  )) as [UserClients, UserClients, UserClients, UserClients];

  // A direct conversation, with all that a message can have.
  const first = await alice.chat.sendDirect({
    recipientId: "bob",
    content: text("Hello, Bob"),
    clientMessageId: "hello",
  });
  await bob.chat.sendDirect({
    recipientId: "alice",
    content: {
      kind: {
        case: "text",
        value: {
          body: "bold and a link",
          entities: [
            { start: 0, length: 4, format: { case: "style", value: 1 } },
            { start: 11, length: 4, format: { case: "url", value: "https://example.com" } },
          ],
        },
      },
      fallbackText: "bold",
    },
    clientMessageId: "reply",
    options: {
      replyToMessageId: first.result?.messageId ?? "",
      mentionUserIds: ["alice"],
      labels: { topic: "greeting" },
      silent: true,
    },
  });
  await alice.chat.sendDirect({
    recipientId: "bob",
    content: {
      kind: {
        case: "custom",
        value: anyPack(StringValueSchema, create(StringValueSchema, { value: "parcel 7" })),
      },
      fallbackText: "Your parcel is on its way",
    },
  });
  await unal.chat.sendDirect({ recipientId: "alice", content: text("İyi günler — 你好 👋🏽") });

  // A group whose history is hidden from who comes later: they come, go, come back, are removed, muted, promoted.
  await alice.groups.createGroup({
    groupId: "tea",
    name: "Tea",
    memberIds: ["bob"],
    joinPolicy: JoinPolicy.OPEN,
    attributes: { colour: "green" },
  });
  const say = (user: UserClients, groupId: string, body: string) =>
    user.chat.sendGroup({ groupId, content: text(body), clientMessageId: `${user.userId}: ${body}` });
  await say(alice, "tea", "Before Carol came");
  await carol.groups.joinGroup({ groupId: "tea" });
  await say(carol, "tea", "Carol's first");
  await carol.groups.leaveGroup({ groupId: "tea" });
  await say(bob, "tea", "While Carol was away");
  await alice.groups.addMembers({ groupId: "tea", userIds: ["carol", "dave"], role: Role.MEMBER });
  await say(dave, "tea", "Dave was here");
  await alice.groups.removeMembers({ groupId: "tea", userIds: ["dave"] });
  await alice.groups.updateMember({
    member: { groupId: "tea", userId: "bob", role: Role.ADMIN },
    updateMask: { paths: ["role"] },
  });
  await alice.groups.updateMember({
    member: {
      groupId: "tea",
      userId: "carol",
      mutedUntilTime: timestampFromDate(new Date("2100-01-01T00:00:00Z")),
    },
    updateMask: { paths: ["muted_until_time"] },
  });
  await alice.groups.updateGroup({
    group: { groupId: "tea", name: "Tea and cake", muted: true },
    updateMask: { paths: ["name", "muted"] },
  });
  await say(bob, "tea", "Only admins speak now");

  // One whose history is open, that changed hands; and one that was disbanded.
  await bob.groups.createGroup({
    groupId: "garden",
    name: "Garden",
    memberIds: ["alice"],
    historyForNewMembers: true,
    memberLimit: 10,
  });
  await say(bob, "garden", "Seen by those who come later");
  await bob.groups.addMembers({ groupId: "garden", userIds: ["Ünal 🦉"], role: Role.READER });
  await bob.groups.transferOwnership({ groupId: "garden", newOwnerId: "alice" });
  await dave.groups.createGroup({ groupId: "gone", name: "Gone", memberIds: ["alice", "carol"] });
  await say(dave, "gone", "Farewell");
  await dave.groups.disbandGroup({ groupId: "gone" });

  // What was read, what devices have got to, who was last seen.
  await bob.conversations.markRead({ conversationId: "d:alice:bob", upToSeq: 3n });
  await carol.conversations.markRead({ conversationId: "g:tea", upToSeq: 6n });
  for (const [user, position] of [
    [alice, 5n],
    [bob, 9n],
    [dave, 20n],
  ] as const) {
    const stream = user.stream();
    const { cursor } = await stream.open();
    await user.chat.ack({ cursor: { epoch: cursor?.epoch ?? "", position } });
    stream.cancel();
    await stream.ended;
  }

  // A token that is good, and one that was logged out.
  const lost = await server.login("carol", "lost");
  await lost.chat.logout({});
  // Closing writes what is kept in memory.
  await server.restart();
  return { kept: bob.token, loggedOut: lost.token };
}
