import fc from "fast-check";
import { expect, test } from "vitest";
import { ErrorReason } from "../../src/model/errors.ts";
import { JoinPolicy, type MemberRecord, Role } from "../../src/model/records.ts";
import type { Store } from "../../src/store/store.ts";
import { groupChanges } from "../support/group-changes.ts";
import { seed } from "../support/seed.ts";
import type { StoreUnderTest } from "./store.ts";
import { createStaffedGroup, refused, settings, toGroup, unique } from "./store-support.ts";

const { ROLE_TOO_LOW, MEMBER_MUTED, GROUP_MUTED, MEMBER_LIMIT_TOO_LOW } = ErrorReason;
const soonMs = () => Date.now() + 3_600_000;

/** The ways out of a group and back. */
const ways: Record<
  string,
  (store: Store, groupId: string, o: string, userId: string) => Promise<MemberRecord[]>
> = {
  "leaving and joining": async (store, groupId, _o, userId) => {
    await groupChanges(store).leaveGroup(groupId, userId);
    return (await groupChanges(store).joinGroup(groupId, userId)).members;
  },
  "leaving and being added": async (store, groupId, o, userId) => {
    await groupChanges(store).leaveGroup(groupId, userId);
    return (
      await groupChanges(store).addMembers(groupId, o, [unique("other"), userId], Role.MEMBER)
    ).members.slice(1);
  },
  "being removed and joining": async (store, groupId, o, userId) => {
    await groupChanges(store).removeMembers(groupId, o, [userId]);
    return (await groupChanges(store).joinGroup(groupId, userId)).members;
  },
  "being removed and added": async (store, groupId, o, userId) => {
    await groupChanges(store).removeMembers(groupId, o, [userId]);
    return (await groupChanges(store).addMembers(groupId, o, [userId], Role.MEMBER)).members;
  },
};

export function restraintTests(tested: () => StoreUnderTest): void {
  test.each(Object.entries(ways))(
    "%s again lifts no mute, and makes no member of a reader",
    async (_, way) => {
      const { store } = tested();
      const { groupId, o, m, r } = await createStaffedGroup(store);
      const mutedUntilMs = soonMs();
      await groupChanges(store).updateMember(groupId, o, m, { mutedUntilMs });
      await groupChanges(store).updateMember(groupId, o, r, { mutedUntilMs });
      // Twice: what was kept over one stay is kept over the next.
      for (let n = 0; n < 2; n++) {
        for (const [userId, role] of [
          [m, Role.MEMBER],
          [r, Role.READER],
        ] as const) {
          expect(await way(store, groupId, o, userId)).toMatchObject([{ userId, role, mutedUntilMs }]);
          expect(await store.getMember(groupId, userId)).toMatchObject({ role, mutedUntilMs });
        }
      }
      await refused(store.append(toGroup(m, groupId)), MEMBER_MUTED);
      await refused(store.append(toGroup(r, groupId)), ROLE_TOO_LOW);
      await tested().reopen();
      const again = tested().store;
      expect(await way(again, groupId, o, m)).toMatchObject([{ userId: m, role: Role.MEMBER, mutedUntilMs }]);
      await groupChanges(again).updateMember(groupId, o, m, { mutedUntilMs: 0 });
      expect(await way(again, groupId, o, m)).toMatchObject([{ role: Role.MEMBER, mutedUntilMs: 0 }]);
      await again.append(toGroup(m, groupId));
    },
  );

  test("600 who were removed at once come back as they were", async () => {
    const { store } = tested();
    const groupId = unique("g");
    const ids = Array.from({ length: 600 }, (_, n) => `${groupId}-${n}`);
    await groupChanges(store).createGroup(groupId, "owner", settings(), []);
    await groupChanges(store).addMembers(groupId, "owner", ids, Role.READER);
    const mutedUntilMs = soonMs();
    await groupChanges(store).updateMember(groupId, "owner", ids[599] as string, { mutedUntilMs });
    await groupChanges(store).removeMembers(groupId, "owner", ids);
    const { members } = await groupChanges(store).addMembers(groupId, "owner", ids, Role.MEMBER);
    expect(new Set(members.map(({ role }) => role))).toEqual(new Set([Role.READER]));
    expect(members.filter((member) => member.mutedUntilMs !== 0)).toMatchObject([{ userId: ids[599] }]);
    expect(await store.getMember(groupId, ids[599] as string)).toEqual(members[599]);
  });

  test("whatever stays a user ends and begins, only admins change what they may", async () => {
    const step = fc.record({
      do: fc.constantFrom(
        "leave",
        "remove",
        "join",
        "add",
        "add reader",
        "add admin",
        "mute",
        "role",
        "send",
      ),
      user: fc.nat(2),
      value: fc.nat(2),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const { store } = tested();
        const groupId = unique("g");
        const o = unique("o");
        await groupChanges(store).createGroup(groupId, o, settings(), []);
        const users = [0, 1, 2].map((n) => ({
          userId: `${o}-${n}`,
          isMember: false,
          role: Role.MEMBER as Role,
          mutedUntilMs: 0,
        }));
        for (const { do: what, user: n, value } of steps) {
          const user = users[n] as (typeof users)[number];
          const { userId } = user;
          if (what === "join" || what.startsWith("add")) {
            if (user.isMember) continue;
            const named =
              what === "add reader" ? Role.READER : what === "add admin" ? Role.ADMIN : Role.MEMBER;
            const isReader = user.role === Role.READER && named === Role.MEMBER;
            Object.assign(user, { isMember: true, role: isReader ? Role.READER : named });
            const { members } =
              what === "join"
                ? await groupChanges(store).joinGroup(groupId, userId)
                : await groupChanges(store).addMembers(groupId, o, [userId], named);
            expect(members).toEqual([await store.getMember(groupId, userId)]);
          } else if (what === "send") {
            const isSilent = user.role === Role.READER || user.mutedUntilMs > Date.now();
            const sent = store.append(toGroup(userId, groupId));
            if (user.isMember && !isSilent) await sent;
            else await expect(sent).rejects.toThrow();
          } else if (user.isMember) {
            if (what === "leave") await groupChanges(store).leaveGroup(groupId, userId);
            if (what === "remove") await groupChanges(store).removeMembers(groupId, o, [userId]);
            if (what === "leave" || what === "remove") user.isMember = false;
            if (what === "mute") user.mutedUntilMs = value === 0 ? 0 : soonMs() + value * 60_000;
            if (what === "role") user.role = [Role.ADMIN, Role.MEMBER, Role.READER][value] as Role;
            const { role, mutedUntilMs } = user;
            if (what === "mute" || what === "role")
              await groupChanges(store).updateMember(groupId, o, userId, { role, mutedUntilMs });
          }
          const { role, mutedUntilMs } = user;
          const found = await store.getMember(groupId, userId);
          if (user.isMember) expect(found).toMatchObject({ role, mutedUntilMs });
          else expect(found).toBeUndefined();
        }
      }),
      { seed: seed(), numRuns: 15 },
    );
  });

  test("who may not send may not add members either", async () => {
    const { store } = tested();
    const { groupId, o, a, m, r } = await createStaffedGroup(store, { joinPolicy: JoinPolicy.INVITE });
    const add = (actorId: string) =>
      groupChanges(store).addMembers(groupId, actorId, [unique("n")], Role.MEMBER);
    await refused(add(r), ROLE_TOO_LOW);
    for (const userId of [m, a]) {
      await groupChanges(store).updateMember(groupId, o, userId, { mutedUntilMs: soonMs() });
      const error = await refused(add(userId), MEMBER_MUTED);
      expect(error).toMatchObject({ details: { retryAfterMs: expect.any(Number) } });
      await groupChanges(store).updateMember(groupId, o, userId, { mutedUntilMs: Date.now() - 60_000 });
      await add(userId);
    }
    await groupChanges(store).updateGroup(groupId, o, { muted: true });
    await refused(add(m), GROUP_MUTED);
    await add(a);
    await add(o);
  });

  test("the member limit cannot be set below the number of members", async () => {
    const { store } = tested();
    const { groupId, o, x } = await createStaffedGroup(store);
    const before = await store.getGroup(groupId);
    const error = await refused(
      groupChanges(store).updateGroup(groupId, o, { memberLimit: 3, name: "other" }),
      MEMBER_LIMIT_TOO_LOW,
    );
    expect(error).toMatchObject({
      details: { violations: [{ field: "group.member_limit", description: expect.stringContaining("4") }] },
    });
    expect(await store.getGroup(groupId)).toEqual(before);
    // Whichever comes first, the group never has more members than it may.
    const answers = await Promise.allSettled([
      groupChanges(store).updateGroup(groupId, o, { memberLimit: 4 }),
      groupChanges(store).joinGroup(groupId, x),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const group = await store.getGroup(groupId);
    expect(group?.memberCount).toBeLessThanOrEqual(group?.memberLimit ?? 0);
  });
}
