import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  GroupSchema,
  MembershipChange,
  MembershipChangedSchema,
} from "../../gen/parlance/chat/v1/group_pb.js";
import { ErrorReason } from "../../src/model/errors.ts";
import { JoinPolicy, Role } from "../../src/model/records.ts";
import { EventKind, type LogEvent } from "../../wire/log-event.ts";
import { groupChanges } from "../support/group-changes.ts";
import type { StoreUnderTest } from "./store.ts";
import { createStaffedGroup, range, refused, settings, toGroup, toUser, unique } from "./store-support.ts";

const { GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_NOT_FOUND } = ErrorReason;
const groupOf = (event: LogEvent | undefined) => fromBinary(GroupSchema, event?.body as Uint8Array);
const changeOf = (event: LogEvent | undefined) =>
  fromBinary(MembershipChangedSchema, event?.body as Uint8Array);

export function groupTests(tested: () => StoreUnderTest): void {
  test("the groups of users are counted, with those they own, as they are now", async () => {
    const { store } = tested();
    const [first, second, o, a, nobody] = ["g", "g", "o", "a", "n"].map(unique) as [
      string,
      string,
      string,
      string,
      string,
    ];
    await groupChanges(store).createGroup(first, o, settings(), [a]);
    await groupChanges(store).createGroup(second, o, settings(), [a]);
    await store.append(toUser(o, a));
    expect(await store.countGroups([o, a, nobody])).toEqual(
      new Map([
        [o, { joined: 2, owned: 2 }],
        [a, { joined: 2, owned: 0 }],
      ]),
    );
    await groupChanges(store).transferOwnership(first, o, a);
    await groupChanges(store).leaveGroup(first, o);
    await groupChanges(store).disbandGroup(second, o);
    expect(await store.countGroups([o, a])).toEqual(new Map([[a, { joined: 1, owned: 1 }]]));
    expect(await store.countGroups([])).toEqual(new Map());
  });

  test("a group begins with its settings and then its members, all from seq 1", async () => {
    const { store } = tested();
    const [groupId, o, a, b] = [unique("g"), unique("o"), unique("a"), unique("b")];
    const given = settings({ name: "näme", attributes: { k: "v\u0000\n" }, muted: true });
    const { group, members, events } = await groupChanges(store).createGroup(groupId, o, given, [b, a, b, o]);
    expect(group).toMatchObject({ ...given, groupId, ownerId: o, memberCount: 3, seq: 1, updaterId: o });
    expect(await store.getGroup(groupId)).toEqual(group);
    expect(members.map((member) => member.userId)).toEqual([o, b, a]);
    expect(members.map((member) => member.role)).toEqual([Role.OWNER, Role.MEMBER, Role.MEMBER]);
    for (const member of members) {
      expect(member).toMatchObject({ groupId, joinSeq: 1, visibleFromSeq: 1, mutedUntilMs: 0 });
      expect(await store.getMember(groupId, member.userId)).toEqual(member);
    }
    expect(events).toEqual(await store.readSeqs(`g:${groupId}`, range()));
    expect(events.map((event) => event.kind)).toEqual([EventKind.GROUP, EventKind.MEMBERSHIP]);
    expect(groupOf(events[0])).toMatchObject({
      groupId,
      conversationId: `g:${groupId}`,
      seq: 1n,
      memberCount: 3,
      name: "näme",
      attributes: given.attributes,
      muted: true,
      ownerId: o,
    });
    const change = changeOf(events[1]);
    expect(change).toMatchObject({
      groupId,
      seq: 2n,
      change: MembershipChange.ADDED,
      actorId: o,
      memberCount: 3,
    });
    expect(change.members.map((member) => member.userId)).toEqual([o, b, a]);
  });

  test("an id stays taken, also by a group that was disbanded", async () => {
    const { store } = tested();
    const { groupId, o } = await createStaffedGroup(store);
    await refused(groupChanges(store).createGroup(groupId, o, settings(), []), ErrorReason.GROUP_ID_TAKEN);
    await groupChanges(store).disbandGroup(groupId, o);
    await refused(groupChanges(store).createGroup(groupId, o, settings(), []), ErrorReason.GROUP_ID_TAKEN);
  });

  test("nobody comes back to a group that was disbanded", async () => {
    const { store } = tested();
    const { groupId, o, a, m, x } = await createStaffedGroup(store);
    await groupChanges(store).leaveGroup(groupId, m);
    await groupChanges(store).disbandGroup(groupId, o);
    for (const userId of [o, a, m, x]) {
      await refused(groupChanges(store).joinGroup(groupId, userId), GROUP_NOT_FOUND);
      await refused(groupChanges(store).addMembers(groupId, userId, [a, m], Role.MEMBER), GROUP_NOT_FOUND);
    }
  });

  test("a group cannot begin with more members than its limit, and then is not there", async () => {
    const { store } = tested();
    const groupId = unique("g");
    const error = await refused(
      groupChanges(store).createGroup(groupId, "o", settings({ memberLimit: 2 }), ["a", "b"]),
      ErrorReason.GROUP_FULL,
    );
    expect(error).toMatchObject({
      details: { quota: { subject: expect.any(String) }, violations: [{ field: "member_limit" }] },
    });
    expect(await store.getGroup(groupId)).toBeUndefined();
    await groupChanges(store).createGroup(groupId, "o", settings({ memberLimit: 2 }), ["a"]);
  });

  test("more than 500 members are told of in several events", async () => {
    const { store } = tested();
    const groupId = unique("g");
    const ids = Array.from({ length: 600 }, (_, n) => `${groupId}-${n}`);
    const { events, members } = await groupChanges(store).createGroup(
      groupId,
      "owner",
      settings({ memberLimit: 2000 }),
      ids,
    );
    expect(events.slice(1).map((event) => changeOf(event).members.length)).toEqual([500, 101]);
    expect(events.slice(1).map((event) => changeOf(event).memberCount)).toEqual([500, 601]);
    expect(new Set(members.map((member) => member.joinSeq))).toEqual(new Set([1]));
    const more = Array.from({ length: 501 }, (_, n) => `${groupId}-more-${n}`);
    const added = await groupChanges(store).addMembers(groupId, "owner", more, Role.MEMBER);
    expect(added.events.map((event) => event.seq)).toEqual([4, 5]);
    expect(added.members.at(-1)).toMatchObject({ joinSeq: 5, visibleFromSeq: 5 });
    const removed = await groupChanges(store).removeMembers(groupId, "owner", more);
    expect(removed.events.map((event) => changeOf(event).memberCount)).toEqual([602, 601]);
    expect(removed.group.memberCount).toBe(601);
  });

  test("settings are changed by the owner and admins, with one event, or none when nothing changes", async () => {
    const { store } = tested();
    const { groupId, a, m, x } = await createStaffedGroup(store);
    const before = await store.getGroup(groupId);
    const same = await groupChanges(store).updateGroup(groupId, a, { name: "a group", attributes: {} });
    expect(same).toEqual({ group: before, members: [], events: [] });
    const { group, events } = await groupChanges(store).updateGroup(groupId, a, {
      name: "new",
      joinPolicy: JoinPolicy.CLOSED,
    });
    expect(group).toMatchObject({
      name: "new",
      joinPolicy: JoinPolicy.CLOSED,
      updaterId: a,
      seq: 5,
      ownerId: before?.ownerId,
    });
    expect(await store.getGroup(groupId)).toEqual(group);
    expect(events).toHaveLength(1);
    expect(groupOf(events[0])).toMatchObject({ name: "new", seq: 5n, updaterId: a, memberCount: 4 });
    await refused(groupChanges(store).updateGroup(groupId, m, { name: "no" }), ROLE_TOO_LOW);
    await refused(groupChanges(store).updateGroup(groupId, x, { name: "no" }), GROUP_NOT_FOUND);
  });

  test("the owner disbands a group: a last event, no members, and nothing more", async () => {
    const { store } = tested();
    const { groupId, conversationId, o, a, m, x } = await createStaffedGroup(store);
    await refused(groupChanges(store).disbandGroup(groupId, a), ROLE_TOO_LOW);
    await refused(groupChanges(store).disbandGroup(groupId, x), NOT_A_MEMBER);
    const { events } = await groupChanges(store).disbandGroup(groupId, o);
    expect(groupOf(events[0]).disbandTime).toBeDefined();
    expect(await store.getGroup(groupId)).toBeUndefined();
    expect(await store.getMember(groupId, m)).toBeUndefined();
    expect(await store.listMembers(groupId, "", 10)).toEqual([]);
    expect((await store.listMemberships(m)).memberships).toEqual([]);
    expect(await store.access(m, conversationId)).toBeUndefined();
    const missed = await store.readMissed(m, (events[0]?.position ?? 0) - 1, 10, 1e6);
    expect(missed.events).toEqual(events);
    for (const later of [
      store.append(toGroup(o, groupId)),
      groupChanges(store).joinGroup(groupId, x),
      groupChanges(store).updateGroup(groupId, o, { name: "x" }),
      groupChanges(store).disbandGroup(groupId, o),
    ]) {
      await refused(later, GROUP_NOT_FOUND);
    }
  });

  test("the owner hands the group over and is an admin then", async () => {
    const { store } = tested();
    const { groupId, o, a, r, x } = await createStaffedGroup(store);
    await groupChanges(store).updateMember(groupId, o, r, { mutedUntilMs: Date.now() + 60_000 });
    await refused(groupChanges(store).transferOwnership(groupId, a, r), ROLE_TOO_LOW);
    await refused(groupChanges(store).transferOwnership(groupId, o, x), MEMBER_NOT_FOUND);
    expect((await groupChanges(store).transferOwnership(groupId, o, o)).events).toEqual([]);
    const { group, members, events } = await groupChanges(store).transferOwnership(groupId, o, r);
    expect(group.ownerId).toBe(r);
    expect(members).toMatchObject([
      { userId: r, role: Role.OWNER, mutedUntilMs: 0 },
      { userId: o, role: Role.ADMIN },
    ]);
    expect(changeOf(events[0])).toMatchObject({ change: MembershipChange.UPDATED, actorId: o });
    expect(changeOf(events[0]).members.map((member) => member.userId)).toEqual([r, o]);
    expect(await store.getGroup(groupId)).toEqual(group);
    await store.append(toGroup(r, groupId));
    await groupChanges(store).leaveGroup(groupId, o);
  });

  test("of some users those are found who are members now", async () => {
    const { store } = tested();
    const [owner, member, gone] = [unique("o"), unique("m"), unique("l")];
    const groupId = unique("g");
    await groupChanges(store).createGroup(groupId, owner, settings(), [member, gone]);
    await groupChanges(store).leaveGroup(groupId, gone);
    const found = await store.getMembers(groupId, [gone, "nobody", member, owner]);
    expect(new Map(found.map((each) => [each.userId, each.role]))).toEqual(
      new Map([
        [owner, Role.OWNER],
        [member, Role.MEMBER],
      ]),
    );
    expect(found).toContainEqual(await store.getMember(groupId, member));
    expect(await store.getMembers(unique("none"), [owner])).toEqual([]);
  });

  test("groups and members are listed by the bytes of their ids", async () => {
    const { store } = tested();
    const u = unique("u");
    // By UTF-16 code units the emoji would come before the full-width letter.
    const ids = ["a", "Z", "é", "Ａ", "😀", "10", "9"];
    const byBytes = [...ids].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
    const groupId = unique("g");
    await groupChanges(store).createGroup(groupId, "9", settings(), ids);
    expect((await store.listMembers(groupId, "", 100)).map((member) => member.userId)).toEqual(byBytes);
    expect((await store.listMembers(groupId, "é", 1)).map((member) => member.userId)).toEqual(["Ａ"]);
    const groups = ids.map((id) => `${groupId}${id}`);
    await Promise.all(groups.map((id) => groupChanges(store).createGroup(id, u, settings(), [])));
    const listed = (await store.listGroups(u, "", 100)).map((group) => group.groupId);
    expect(listed).toEqual(byBytes.map((id) => `${groupId}${id}`));
    expect((await store.listGroups(u, `${groupId}é`, 2)).map((group) => group.groupId)).toEqual(
      listed.slice(5, 7),
    );
    expect(await store.listGroups(u, "", 100, 0)).toHaveLength(1);
    expect(await store.listGroups(u, "", 100, 1_000)).toHaveLength(ids.length);
    const { memberships } = await store.listMemberships(u);
    expect(new Set(memberships.map(({ groupId }) => groupId))).toEqual(new Set(groups));
  });

  test("a user's groups come with what they may read there, and the position up to which that is true", async () => {
    const { store } = tested();
    const { groupId, x } = await createStaffedGroup(store);
    const { events } = await groupChanges(store).joinGroup(groupId, x);
    const { memberships, through } = await store.listMemberships(x);
    expect(memberships).toEqual([
      { groupId, visibleFromSeq: (await store.getMember(groupId, x))?.visibleFromSeq },
    ]);
    expect(through).toBeGreaterThanOrEqual(events[0]?.position ?? 0);
    expect(through).toBe(await store.lastPosition());
  });
}
