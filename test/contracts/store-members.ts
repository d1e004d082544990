import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { MembershipChange, MembershipChangedSchema } from "../../gen/parlance/chat/v1/group_pb.js";
import { ErrorReason } from "../../src/model/errors.ts";
import { JoinPolicy, Role } from "../../src/model/records.ts";
import type { LogEvent } from "../../wire/log-event.ts";
import { groupChanges } from "../support/group-changes.ts";
import type { StoreUnderTest } from "./store.ts";
import { createStaffedGroup, refused, toGroup, unique } from "./store-support.ts";

const { GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_NOT_FOUND, JOIN_NOT_ALLOWED } = ErrorReason;
const changeOf = (event: LogEvent | undefined) =>
  fromBinary(MembershipChangedSchema, event?.body as Uint8Array);

export function memberTests(tested: () => StoreUnderTest): void {
  test("anyone joins an OPEN group, once", async () => {
    const { store } = tested();
    const { groupId, conversationId, x } = await createStaffedGroup(store);
    const { group, members, events } = await groupChanges(store).joinGroup(groupId, x);
    const [event] = events;
    expect(event).toMatchObject({ conversationId, senderId: x, seq: 5 });
    expect(members).toMatchObject([{ userId: x, role: Role.MEMBER, joinSeq: 5, visibleFromSeq: 5 }]);
    expect(changeOf(event)).toMatchObject({
      change: MembershipChange.JOINED,
      actorId: x,
      memberCount: 5,
      seq: 5n,
    });
    expect(group.memberCount).toBe(5);
    await refused(groupChanges(store).joinGroup(groupId, x), ErrorReason.ALREADY_A_MEMBER);
  });

  test("nobody joins a group of another policy", async () => {
    const { store } = tested();
    for (const joinPolicy of [JoinPolicy.INVITE, JoinPolicy.CLOSED, JoinPolicy.APPROVAL]) {
      const { groupId, x, m } = await createStaffedGroup(store, { joinPolicy });
      await refused(groupChanges(store).joinGroup(groupId, x), GROUP_NOT_FOUND);
      await refused(groupChanges(store).joinGroup(groupId, m), ErrorReason.ALREADY_A_MEMBER);
    }
    await refused(groupChanges(store).joinGroup(unique("none"), unique("x")), GROUP_NOT_FOUND);
  });

  test("an outsider cannot tell a group that is not OPEN from none", async () => {
    const { store } = tested();
    const { groupId, x, m } = await createStaffedGroup(store, { joinPolicy: JoinPolicy.INVITE });
    const absent = unique("group");
    const attempts = (id: string) => [
      store.append(toGroup(x, id)),
      store.append(toGroup(x, id, { replyTo: { position: 1, acceptTimeMs: 1 } })),
      groupChanges(store).joinGroup(id, x),
      groupChanges(store).leaveGroup(id, x),
      groupChanges(store).addMembers(id, x, [x], Role.MEMBER),
      groupChanges(store).removeMembers(id, x, [m]),
      groupChanges(store).updateMember(id, x, m, { role: Role.READER }),
      groupChanges(store).transferOwnership(id, x, m),
      groupChanges(store).updateGroup(id, x, {}),
      groupChanges(store).disbandGroup(id, x),
    ];
    const hidden = await Promise.all(attempts(groupId).map((attempt) => refused(attempt, GROUP_NOT_FOUND)));
    const none = await Promise.all(attempts(absent).map((attempt) => refused(attempt, GROUP_NOT_FOUND)));
    for (const [n, error] of hidden.entries()) {
      expect(error.message.replaceAll(groupId, absent)).toBe(none[n]?.message);
      expect(error).toMatchObject({ details: (none[n] as unknown as { details: object }).details });
    }
  });

  test("of an OPEN group an outsider learns that they are no member", async () => {
    const { store } = tested();
    const { groupId, x, m } = await createStaffedGroup(store);
    await refused(store.append(toGroup(x, groupId)), NOT_A_MEMBER);
    await refused(groupChanges(store).leaveGroup(groupId, x), NOT_A_MEMBER);
    await refused(groupChanges(store).removeMembers(groupId, x, [m]), NOT_A_MEMBER);
    await refused(groupChanges(store).addMembers(groupId, x, [x], Role.MEMBER), NOT_A_MEMBER);
  });

  test("a member leaves and may come back; the owner cannot leave", async () => {
    const { store } = tested();
    const { groupId, conversationId, o, m } = await createStaffedGroup(store);
    await refused(groupChanges(store).leaveGroup(groupId, o), ErrorReason.OWNER_CANNOT_LEAVE);
    const { group, members, events } = await groupChanges(store).leaveGroup(groupId, m);
    expect(changeOf(events[0])).toMatchObject({ change: MembershipChange.LEFT, actorId: m, memberCount: 3 });
    expect(members).toMatchObject([{ userId: m, joinSeq: 1 }]);
    expect(group.memberCount).toBe(3);
    expect(await store.getMember(groupId, m)).toBeUndefined();
    expect(await store.access(m, conversationId)).toBeUndefined();
    expect((await groupChanges(store).joinGroup(groupId, m)).members).toMatchObject([
      { joinSeq: 6, visibleFromSeq: 6 },
    ]);
  });

  test("who may add members depends on role and policy", async () => {
    const { store } = tested();
    for (const joinPolicy of [JoinPolicy.OPEN, JoinPolicy.INVITE, JoinPolicy.CLOSED, JoinPolicy.APPROVAL]) {
      const { groupId, o, a, m, r } = await createStaffedGroup(store, { joinPolicy });
      const add = (actorId: string, role: Role) =>
        groupChanges(store).addMembers(groupId, actorId, [unique("n")], role);
      for (const actorId of [o, a]) {
        for (const role of [Role.ADMIN, Role.MEMBER, Role.READER]) {
          expect((await add(actorId, role)).members[0]?.role).toBe(role);
        }
      }
      await refused(add(r, Role.MEMBER), ROLE_TOO_LOW);
      await refused(add(o, Role.OWNER), ROLE_TOO_LOW);
      if (joinPolicy === JoinPolicy.OPEN || joinPolicy === JoinPolicy.INVITE) {
        await add(m, Role.MEMBER);
        await add(m, Role.READER);
        await refused(add(m, Role.ADMIN), ROLE_TOO_LOW);
      } else {
        await refused(add(m, Role.MEMBER), JOIN_NOT_ALLOWED);
      }
    }
  });

  test("those who are members already stay as they are", async () => {
    const { store } = tested();
    const { groupId, o, a, r, x } = await createStaffedGroup(store);
    const { members, events } = await groupChanges(store).addMembers(groupId, o, [r, x, r, a], Role.MEMBER);
    expect(members.map(({ userId, role }) => [userId, role])).toEqual([
      [r, Role.READER],
      [x, Role.MEMBER],
      [a, Role.ADMIN],
    ]);
    expect(changeOf(events[0]).members.map((member) => member.userId)).toEqual([x]);
    expect((await groupChanges(store).addMembers(groupId, o, [x], Role.ADMIN)).events).toEqual([]);
  });

  test("a full group takes nobody, all or none", async () => {
    const { store } = tested();
    const { groupId, o, m, x } = await createStaffedGroup(store, { memberLimit: 5 });
    await refused(
      groupChanges(store).addMembers(groupId, o, [x, unique("y")], Role.MEMBER),
      ErrorReason.GROUP_FULL,
    );
    expect(await store.getMember(groupId, x)).toBeUndefined();
    await groupChanges(store).addMembers(groupId, o, [x, m], Role.MEMBER);
    const error = await refused(groupChanges(store).joinGroup(groupId, unique("z")), ErrorReason.GROUP_FULL);
    expect(error).toMatchObject({ details: { quota: { description: expect.stringContaining("5") } } });
    await groupChanges(store).addMembers(groupId, o, [m], Role.MEMBER);
    const results = await Promise.allSettled([
      groupChanges(store).leaveGroup(groupId, m),
      groupChanges(store).joinGroup(groupId, unique("y")),
      groupChanges(store).joinGroup(groupId, unique("z")),
    ]);
    expect(results.map((result) => result.status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
  });

  test("members are removed by those above them, all or none", async () => {
    const { store } = tested();
    const { groupId, o, a, m, r, x } = await createStaffedGroup(store);
    const admin = unique("admin");
    await groupChanges(store).addMembers(groupId, o, [admin], Role.ADMIN);
    await refused(groupChanges(store).removeMembers(groupId, m, [r]), ROLE_TOO_LOW);
    await refused(groupChanges(store).removeMembers(groupId, m, [m, r]), ROLE_TOO_LOW);
    await refused(groupChanges(store).removeMembers(groupId, a, [m, x]), MEMBER_NOT_FOUND);
    await refused(groupChanges(store).removeMembers(groupId, a, [m, admin]), ROLE_TOO_LOW);
    await refused(groupChanges(store).removeMembers(groupId, a, [m, o]), ROLE_TOO_LOW);
    await refused(groupChanges(store).removeMembers(groupId, o, [m, o]), ErrorReason.OWNER_CANNOT_LEAVE);
    expect(await store.getMember(groupId, m)).toBeDefined();
    const { members, events } = await groupChanges(store).removeMembers(groupId, a, [r, m, r]);
    expect(members.map((member) => member.userId)).toEqual([r, m]);
    expect(members[0]?.role).toBe(Role.READER);
    expect(changeOf(events[0])).toMatchObject({
      change: MembershipChange.REMOVED,
      actorId: a,
      memberCount: 3,
    });
    expect((await groupChanges(store).removeMembers(groupId, a, [a])).group.memberCount).toBe(2);
    expect((await groupChanges(store).removeMembers(groupId, o, [admin])).group.memberCount).toBe(1);
  });

  test("roles and mutes are changed by those above", async () => {
    const { store } = tested();
    const { groupId, o, a, m, r, x } = await createStaffedGroup(store);
    const change = (actorId: string, userId: string, to: { role?: Role; mutedUntilMs?: number }) =>
      groupChanges(store).updateMember(groupId, actorId, userId, to);
    await refused(change(m, r, { role: Role.MEMBER }), ROLE_TOO_LOW);
    await refused(change(a, x, { role: Role.MEMBER }), MEMBER_NOT_FOUND);
    await refused(change(a, o, { role: Role.MEMBER }), ROLE_TOO_LOW);
    await refused(change(o, o, { role: Role.MEMBER }), ROLE_TOO_LOW);
    await refused(change(o, m, { role: Role.OWNER }), ROLE_TOO_LOW);
    expect((await change(a, m, { role: Role.MEMBER })).events).toEqual([]);
    const { members, events } = await change(a, m, { role: Role.ADMIN, mutedUntilMs: 5_000 });
    expect(members).toMatchObject([{ userId: m, role: Role.ADMIN, mutedUntilMs: 5_000, joinSeq: 1 }]);
    expect(await store.getMember(groupId, m)).toEqual(members[0]);
    expect(changeOf(events[0])).toMatchObject({
      change: MembershipChange.UPDATED,
      actorId: a,
      memberCount: 4,
    });
    expect(changeOf(events[0]).members[0]?.mutedUntilTime?.seconds).toBe(5n);
    await refused(change(a, m, { role: Role.MEMBER }), ROLE_TOO_LOW);
    await refused(change(m, m, { mutedUntilMs: 0 }), ROLE_TOO_LOW);
    await change(m, m, { role: Role.MEMBER });
  });

  test("who may send depends on role and mutes", async () => {
    const { store } = tested();
    const { groupId, o, a, m, r } = await createStaffedGroup(store);
    const send = (userId: string) => store.append(toGroup(userId, groupId));
    await refused(send(r), ROLE_TOO_LOW);
    await send(m);
    await groupChanges(store).updateMember(groupId, a, m, { mutedUntilMs: Date.now() + 60_000 });
    await refused(send(m), ErrorReason.MEMBER_MUTED);
    await groupChanges(store).updateMember(groupId, a, m, { mutedUntilMs: Date.now() - 1 });
    await send(m);
    await groupChanges(store).updateGroup(groupId, a, { muted: true });
    await refused(send(m), ErrorReason.GROUP_MUTED);
    await send(o);
    await send(a);
    await refused(store.append(toGroup(m, unique("none"))), GROUP_NOT_FOUND);
  });

  test("history before a member joined is hidden unless the group says otherwise", async () => {
    const { store } = tested();
    for (const historyForNewMembers of [false, true]) {
      const { groupId, conversationId, m, x } = await createStaffedGroup(store, { historyForNewMembers });
      await store.append(toGroup(m, groupId));
      const { members } = await groupChanges(store).joinGroup(groupId, x);
      const visibleFromSeq = historyForNewMembers ? 1 : 6;
      expect(members).toMatchObject([{ joinSeq: 6, visibleFromSeq }]);
      expect(await store.access(x, conversationId)).toEqual({ lastSeq: 6, readSeq: 5, visibleFromSeq });
      // What is delivered begins with the event that made them a member either way.
      const { events } = await store.readMissed(x, 0, 100, 1e6);
      expect(events.map((event) => event.seq)).toEqual([6]);
    }
  });
}
