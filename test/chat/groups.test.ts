import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { CallOptions } from "nice-grpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { JoinPolicy, type Member, MembershipChange, Role } from "../../gen/parlance/chat/v1/group_pb.js";
import { failureIn, failureOf } from "../support/errors.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";

const maxGroupMembers = 600;
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ maxGroupMembers });
});
afterAll(() => server.close());

const known = new Map<string, Promise<UserClients>>();

/** The clients of a user, logged in once for the whole file. */
function user(userId: string): Promise<UserClients> {
  const clients = known.get(userId) ?? server.login(userId);
  known.set(userId, clients);
  return clients;
}

let made = 0;
/** An id that no other test uses. */
const newId = (name = "group") => `${name}-${++made}`;

/** Who has which role in the groups of `groupWithRoles`. */
const holders = {
  OWNER: ["olga"],
  ADMIN: ["adam", "anna"],
  MEMBER: ["mary", "mike"],
  READER: ["rita", "rolf"],
} as const;
type RoleName = keyof typeof holders;
const roleNames = Object.keys(holders) as RoleName[];

/** Creates a group with two users of every role, but one owner. */
async function groupWithRoles(joinPolicy = JoinPolicy.INVITE): Promise<string> {
  const { groups } = await user("olga");
  const groupId = newId();
  await groups.createGroup({ groupId, joinPolicy, memberIds: [...holders.MEMBER] });
  await groups.addMembers({ groupId, userIds: [...holders.ADMIN], role: Role.ADMIN });
  await groups.addMembers({ groupId, userIds: [...holders.READER], role: Role.READER });
  return groupId;
}

/** Two users: one of a role, and another one, of the same or another role; the only owner is both. */
function pair(actor: RoleName, target: RoleName): [actorId: string, targetId: string] {
  return [holders[actor][0], holders[target].at(-1) as string];
}

async function membersOf(asUser: string, groupId: string): Promise<Member[]> {
  return (await (await user(asUser)).groups.listMembers({ groupId, pageSize: 1000 })).members;
}

async function roleIn(groupId: string, userId: string): Promise<RoleName | undefined> {
  const member = (await membersOf("olga", groupId)).find((each) => each.userId === userId);
  return member && (Role[member.role] as RoleName);
}

/** The reason a call is refused with, or "OK". */
async function answerOf(call: (options: object) => Promise<unknown>): Promise<string> {
  let reasonName = "OK";
  await failureOf(call).then(
    (failure) => {
      ({ reasonName } = failure);
    },
    (error: Error) => {
      if (error.message !== "the call did not fail") throw error;
    },
  );
  return reasonName;
}

/** What a stream received of a group's log, in short and in the order of arrival. */
function logOf({ events }: TestStream, groupId: string): string[] {
  return events.flatMap(({ event }) => {
    if (event.case === "membershipChanged" && event.value.groupId === groupId) {
      const { seq, change, actorId, members } = event.value;
      return [`${seq} ${MembershipChange[change]} ${members.map((member) => member.userId)} by ${actorId}`];
    }
    if (event.case === "groupChanged" && event.value.groupId === groupId) {
      const { seq, updaterId, name, disbandTime } = event.value;
      return [`${seq} ${disbandTime === undefined ? `GROUP ${name}` : "DISBANDED"} by ${updaterId}`];
    }
    if (event.case === "message" && event.value.target.value === groupId)
      return [`${event.value.seq} MESSAGE`];
    return [];
  });
}

async function openStream(userId: string): Promise<TestStream> {
  const stream = (await user(userId)).stream();
  await stream.open();
  await stream.next("caughtUp");
  return stream;
}

describe("creating a group", () => {
  test("keeps the id and everything else the host chose", async () => {
    const olga = await user("olga");
    const groupId = newId("Ümlaut / 群");
    const { group } = await olga.groups.createGroup({
      groupId,
      name: "  spaces stay  ",
      memberIds: ["mary", "mike"],
      joinPolicy: JoinPolicy.CLOSED,
      historyForNewMembers: true,
      memberLimit: 7,
      attributes: { colour: "blue", empty: "" },
    });
    expect(group).toMatchObject({
      groupId,
      conversationId: `g:${groupId}`,
      name: "  spaces stay  ",
      ownerId: "olga",
      updaterId: "olga",
      memberCount: 3,
      memberLimit: 7,
      joinPolicy: JoinPolicy.CLOSED,
      historyForNewMembers: true,
      muted: false,
      attributes: { colour: "blue", empty: "" },
      seq: 1n,
    });
    expect(group?.createTime).toEqual(group?.updateTime);
    expect(group?.disbandTime).toBeUndefined();
    expect(await olga.groups.getGroup({ groupId })).toMatchObject({
      group,
      me: { userId: "olga", role: Role.OWNER },
    });
    expect((await (await user("mary")).groups.getGroup({ groupId })).group).toEqual(group);
  });

  test("makes an id when none is given, another one each time", async () => {
    const { groups } = await user("olga");
    const [one, two] = await Promise.all([groups.createGroup({}), groups.createGroup({})]);
    expect(one.group?.groupId).toMatch(/^[0-9a-f-]{36}$/);
    expect(one.group?.groupId).not.toBe(two.group?.groupId);
    expect(one.group).toMatchObject({
      joinPolicy: JoinPolicy.INVITE,
      memberCount: 1,
      memberLimit: maxGroupMembers,
    });
  });

  test("takes an id that is taken for nobody, its owner included, and changes nothing", async () => {
    const groupId = newId();
    await (await user("olga")).groups.createGroup({ groupId, name: "first", memberIds: ["mary"] });
    for (const userId of ["olga", "mary", "stranger"]) {
      const { groups } = await user(userId);
      const failure = await failureOf((options) => groups.createGroup({ groupId, name: "second" }, options));
      expect(failure).toMatchObject({ code: "ALREADY_EXISTS", reasonName: "GROUP_ID_TAKEN" });
    }
    const { group } = await (await user("olga")).groups.getGroup({ groupId });
    expect(group).toMatchObject({ name: "first", memberCount: 2 });
  });

  test("lists every member once, the creator as owner", async () => {
    const groupId = newId();
    const memberIds = ["mary", "olga", "mary", "mike", "olga"];
    await (await user("olga")).groups.createGroup({ groupId, memberIds });
    const members = await membersOf("olga", groupId);
    expect(members.map(({ userId, role }) => [userId, Role[role]])).toEqual([
      ["mary", "MEMBER"],
      ["mike", "MEMBER"],
      ["olga", "OWNER"],
    ]);
    expect(members.every(({ visibleFromSeq }) => visibleFromSeq === 1n)).toBe(true);
  });

  test("with more members than the limit is refused and leaves the id free", async () => {
    const { groups } = await user("olga");
    const groupId = newId();
    const request = { groupId, memberIds: ["mary", "mike"], memberLimit: 2 };
    expect(await failureOf((options) => groups.createGroup(request, options))).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reasonName: "GROUP_FULL",
      quota: { subject: `group:${groupId}` },
    });
    expect(await answerOf(() => groups.createGroup({ ...request, memberLimit: 3 }))).toBe("OK");
  });

  test("tells everyone who is in it, from the first event on, those created with 501 members included", async () => {
    const streams = await Promise.all(["olga", "mary", "mike"].map(openStream));
    const groupId = newId();
    const crowd = Array.from({ length: 498 }, (_, n) => `crowd-${n}`);
    await (await user("olga")).groups.createGroup({
      groupId,
      name: "n",
      memberIds: ["mary", ...crowd, "mike"],
    });
    await (await user("olga")).chat.sendGroup({ groupId, content: text("hello") });
    for (const stream of streams) {
      await stream.next("message", ({ target }) => target.value === groupId);
      const log = logOf(stream, groupId);
      expect(log[0]?.slice(0, 20)).toBe("1 GROUP n by olga");
      expect(log.map((line) => Number.parseInt(line, 10))).toEqual(log.map((_, n) => n + 1));
      expect(log.at(-1)).toContain("MESSAGE");
      stream.cancel();
    }
  });
});

describe("joining", () => {
  test("an OPEN group is for anyone who knows its id", async () => {
    const { groups } = await user("olga");
    const groupId = newId();
    await groups.createGroup({ groupId, joinPolicy: JoinPolicy.OPEN });
    const joiner = await user("joiner");
    expect((await joiner.groups.getGroup({ groupId })).me).toBeUndefined();
    const { member } = await joiner.groups.joinGroup({ groupId });
    expect(member).toMatchObject({ groupId, userId: "joiner", role: Role.MEMBER, visibleFromSeq: 3n });
    expect(await answerOf((options) => joiner.groups.joinGroup({ groupId }, options))).toBe(
      "ALREADY_A_MEMBER",
    );
    expect(await membersOf("joiner", groupId)).toHaveLength(2);
  });

  test("a group of another policy does not show that it exists", async () => {
    const { groups } = await user("stranger");
    for (const joinPolicy of [JoinPolicy.UNSPECIFIED, JoinPolicy.INVITE, JoinPolicy.CLOSED]) {
      const groupId = newId();
      await (await user("olga")).groups.createGroup({ groupId, joinPolicy });
      const calls = (id: string) => [
        failureOf((options) => groups.joinGroup({ groupId: id }, options)),
        failureOf((options) => groups.getGroup({ groupId: id }, options)),
        failureOf((options) => groups.listMembers({ groupId: id }, options)),
        failureOf((options) => groups.leaveGroup({ groupId: id }, options)),
        failureOf((options) => groups.addMembers({ groupId: id, userIds: ["stranger"] }, options)),
        failureOf((options) => groups.removeMembers({ groupId: id, userIds: ["olga"] }, options)),
        failureOf((options) => groups.disbandGroup({ groupId: id }, options)),
        failureOf((options) => groups.transferOwnership({ groupId: id, newOwnerId: "stranger" }, options)),
      ];
      const hidden = await Promise.all(calls(groupId));
      const absent = await Promise.all(calls("absent"));
      const withoutId = (failure: object) =>
        JSON.parse(JSON.stringify(failure).replaceAll(groupId, "absent"));
      expect(hidden.map(withoutId)).toEqual(absent);
      expect(new Set(absent.map(({ code, reasonName }) => `${code} ${reasonName}`))).toEqual(
        new Set(["NOT_FOUND GROUP_NOT_FOUND"]),
      );
    }
  });

  test("nobody joins an APPROVAL group, as approval is not built yet", async () => {
    const groupId = newId();
    await (await user("olga")).groups.createGroup({ groupId, joinPolicy: JoinPolicy.APPROVAL });
    const { groups } = await user("stranger");
    expect(await failureOf((options) => groups.joinGroup({ groupId }, options))).toMatchObject({
      code: "NOT_FOUND",
      reasonName: "GROUP_NOT_FOUND",
    });
  });

  test("a full group is refused until somebody leaves", async () => {
    const groupId = newId();
    await (await user("olga")).groups.createGroup({
      groupId,
      joinPolicy: JoinPolicy.OPEN,
      memberLimit: 2,
      memberIds: ["mary"],
    });
    const { groups } = await user("joiner");
    expect(await failureOf((options) => groups.joinGroup({ groupId }, options))).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reasonName: "GROUP_FULL",
      quota: { subject: `group:${groupId}`, description: "at most 2 members" },
    });
    await (await user("mary")).groups.leaveGroup({ groupId });
    await groups.joinGroup({ groupId });
    expect(
      await answerOf(async (options) =>
        (await user("olga")).groups.addMembers({ groupId, userIds: ["mary", "mike"] }, options),
      ),
    ).toBe("GROUP_FULL");
    expect((await membersOf("joiner", groupId)).map(({ userId }) => userId)).toEqual(["joiner", "olga"]);
  });

  test("of many who race for the last places exactly as many get in", async () => {
    const groupId = newId();
    await (await user("olga")).groups.createGroup({ groupId, joinPolicy: JoinPolicy.OPEN, memberLimit: 4 });
    const racers = await Promise.all(Array.from({ length: 10 }, (_, n) => user(`racer-${n}`)));
    const answers = await Promise.all(
      racers.map(({ groups }) => answerOf((options) => groups.joinGroup({ groupId }, options))),
    );
    expect(answers.filter((answer) => answer === "OK")).toHaveLength(3);
    expect(answers.filter((answer) => answer === "GROUP_FULL")).toHaveLength(7);
    const { group } = await (await user("olga")).groups.getGroup({ groupId });
    expect(group?.memberCount).toBe(4);
  });
});

describe("adding members", () => {
  const policies = ["OPEN", "APPROVAL", "INVITE", "CLOSED"] as const;
  const cases = roleNames.flatMap((actor) =>
    policies.flatMap((policy) =>
      (["ADMIN", "MEMBER", "READER"] as const).map((role) => ({ actor, policy, role })),
    ),
  );
  const expected = ({ actor, policy, role }: (typeof cases)[number]) => {
    if (actor === "OWNER" || actor === "ADMIN") return "OK";
    if (actor === "READER") return "ROLE_TOO_LOW";
    if (policy === "CLOSED" || policy === "APPROVAL") return "JOIN_NOT_ALLOWED";
    return role === "ADMIN" ? "ROLE_TOO_LOW" : "OK";
  };

  test.each(cases)("$actor to a group that is $policy, as $role", async (each) => {
    const groupId = await groupWithRoles(JoinPolicy[each.policy]);
    const { groups } = await user(holders[each.actor][0]);
    const request = { groupId, userIds: ["nina"], role: Role[each.role] };
    expect(await answerOf((options) => groups.addMembers(request, options))).toBe(expected(each));
    expect(await roleIn(groupId, "nina")).toBe(expected(each) === "OK" ? each.role : undefined);
  });

  test("answers with each user once, in the order asked, and leaves those who are members as they are", async () => {
    const groupId = await groupWithRoles();
    const { groups } = await user("olga");
    const userIds = ["zoe", "rita", "zoe", "adam", "nina", "olga"];
    const { members } = await groups.addMembers({ groupId, userIds });
    expect(members.map(({ userId, role }) => `${userId} ${Role[role]}`)).toEqual([
      "zoe MEMBER",
      "rita READER",
      "adam ADMIN",
      "nina MEMBER",
      "olga OWNER",
    ]);
    expect((await groups.getGroup({ groupId })).group?.memberCount).toBe(9);
  });

  test("who are all members already is no event", async () => {
    const groupId = await groupWithRoles();
    const stream = await openStream("olga");
    const { groups, chat } = await user("olga");
    await groups.addMembers({ groupId, userIds: ["mary"] });
    const { result } = await chat.sendGroup({ groupId, content: text("next") });
    expect(result?.seq).toBe(5n);
    stream.cancel();
  });

  test("takes no OWNER, no empty list and no more than 500 users at once", async () => {
    const groupId = await groupWithRoles();
    const { groups } = await user("olga");
    for (const request of [
      { groupId, userIds: ["nina"], role: Role.OWNER },
      { groupId, userIds: [] },
      { groupId, userIds: Array.from({ length: 501 }, (_, n) => `n-${n}`) },
      { groupId, userIds: ["nina", " nina"] },
    ]) {
      expect(await answerOf((options) => groups.addMembers(request, options))).toBe("INVALID_REQUEST");
    }
    expect(await membersOf("olga", groupId)).toHaveLength(7);
  });
});

describe("a role decides who may", () => {
  const cases = roleNames.flatMap((actor) => roleNames.map((target) => ({ actor, target })));
  const outranks = ({ actor, target }: (typeof cases)[number]) =>
    (actor === "OWNER" && target !== "OWNER") ||
    (actor === "ADMIN" && (target === "MEMBER" || target === "READER"));

  test.each(cases)("remove: $actor removes $target", async (each) => {
    const groupId = await groupWithRoles();
    const [actorId, targetId] = pair(each.actor, each.target);
    const { groups } = await user(actorId);
    const answer = await answerOf((options) =>
      groups.removeMembers({ groupId, userIds: [targetId] }, options),
    );
    expect(answer).toBe(outranks(each) ? "OK" : actorId === targetId ? "OWNER_CANNOT_LEAVE" : "ROLE_TOO_LOW");
    expect(await roleIn(groupId, targetId)).toBe(outranks(each) ? undefined : each.target);
  });

  test.each(cases)("mute: $actor mutes $target", async (each) => {
    const groupId = await groupWithRoles();
    const [actorId, targetId] = pair(each.actor, each.target);
    const { groups } = await user(actorId);
    const mutedUntilTime = timestampFromMs(server.clock.now() + 60_000);
    const request = {
      member: { groupId, userId: targetId, mutedUntilTime },
      updateMask: { paths: ["muted_until_time"] },
    };
    const answer = await answerOf((options) => groups.updateMember(request, options));
    expect(answer).toBe(outranks(each) ? "OK" : "ROLE_TOO_LOW");
    const member = (await membersOf("olga", groupId)).find(({ userId }) => userId === targetId);
    expect(member?.mutedUntilTime).toEqual(outranks(each) ? mutedUntilTime : undefined);
  });

  test.each(
    cases.flatMap((each) => (["ADMIN", "MEMBER", "READER"] as const).map((role) => ({ ...each, role }))),
  )("name: $actor makes $target a $role", async (each) => {
    const groupId = await groupWithRoles();
    const [actorId, targetId] = pair(each.actor, each.target);
    const { groups } = await user(actorId);
    const request = {
      member: { groupId, userId: targetId, role: Role[each.role] },
      updateMask: { paths: ["role"] },
    };
    const answer = await answerOf((options) => groups.updateMember(request, options));
    expect(answer).toBe(outranks(each) ? "OK" : "ROLE_TOO_LOW");
    expect(await roleIn(groupId, targetId)).toBe(outranks(each) ? each.role : each.target);
  });

  test.each(roleNames)("change settings, hand over and disband: %s", async (actor) => {
    const groupId = await groupWithRoles();
    const { groups } = await user(holders[actor][0]);
    const rename = { group: { groupId, name: "new" }, updateMask: { paths: ["name"] } };
    expect(await answerOf((options) => groups.updateGroup(rename, options))).toBe(
      actor === "OWNER" || actor === "ADMIN" ? "OK" : "ROLE_TOO_LOW",
    );
    if (actor === "OWNER") return;
    expect(
      await answerOf((options) => groups.transferOwnership({ groupId, newOwnerId: "mike" }, options)),
    ).toBe("ROLE_TOO_LOW");
    expect(await answerOf((options) => groups.disbandGroup({ groupId }, options))).toBe("ROLE_TOO_LOW");
    expect((await groups.getGroup({ groupId })).group?.ownerId).toBe("olga");
  });

  test.each(roleNames)("send: %s", async (actor) => {
    const groupId = await groupWithRoles();
    const { chat } = await user(holders[actor][0]);
    const answer = await answerOf((options) => chat.sendGroup({ groupId, content: text("hi") }, options));
    expect(answer).toBe(actor === "READER" ? "ROLE_TOO_LOW" : "OK");
  });

  test("an admin may lay down the role, a member may not take one", async () => {
    const groupId = await groupWithRoles();
    const adam = await user("adam");
    const change = (userId: string, role: Role) => ({
      member: { groupId, userId, role },
      updateMask: { paths: ["role"] },
    });
    expect((await adam.groups.updateMember(change("adam", Role.MEMBER))).member?.role).toBe(Role.MEMBER);
    expect(await answerOf((options) => adam.groups.updateMember(change("adam", Role.ADMIN), options))).toBe(
      "ROLE_TOO_LOW",
    );
  });

  test("removing several is all or none", async () => {
    const groupId = await groupWithRoles();
    const { groups } = await user("adam");
    for (const [userIds, reason] of [
      [["mary", "nobody"], "MEMBER_NOT_FOUND"],
      [["mary", "anna"], "ROLE_TOO_LOW"],
      [["mary", "olga"], "ROLE_TOO_LOW"],
    ] as const) {
      expect(
        await answerOf((options) => groups.removeMembers({ groupId, userIds: [...userIds] }, options)),
      ).toBe(reason);
    }
    expect(await membersOf("olga", groupId)).toHaveLength(7);
    await groups.removeMembers({ groupId, userIds: ["mary", "rita", "mary"] });
    expect((await membersOf("olga", groupId)).map(({ userId }) => userId)).toEqual([
      "adam",
      "anna",
      "mike",
      "olga",
      "rolf",
    ]);
  });
});

describe("changing a member", () => {
  test("takes the fields of the mask only", async () => {
    const groupId = await groupWithRoles();
    const { groups } = await user("olga");
    const mutedUntilTime = timestampFromMs(server.clock.now() + 60_000);
    const muted = await groups.updateMember({
      member: { groupId, userId: "mary", role: Role.ADMIN, mutedUntilTime },
      updateMask: { paths: ["muted_until_time"] },
    });
    expect(muted.member).toMatchObject({ role: Role.MEMBER, mutedUntilTime });
    const both = await groups.updateMember({
      member: { groupId, userId: "mary", role: Role.ADMIN },
      updateMask: { paths: ["role", "muted_until_time"] },
    });
    expect(both.member?.role).toBe(Role.ADMIN);
    expect(both.member?.mutedUntilTime).toBeUndefined();
  });

  test.each([[["user_id"]], [["role", "join_time"]], [[]], [["*"]], [["__proto__"]], [["mutedUntilTime"]]])(
    "by the mask %j is refused",
    async (paths) => {
      const groupId = await groupWithRoles();
      const { groups } = await user("olga");
      const request = { member: { groupId, userId: "mary", role: Role.ADMIN }, updateMask: { paths } };
      expect(await failureOf((options) => groups.updateMember(request, options))).toMatchObject({
        code: "INVALID_ARGUMENT",
        reasonName: "FIELD_NOT_UPDATABLE",
        violations: expect.arrayContaining([expect.objectContaining({ field: "update_mask" })]),
      });
      expect(await roleIn(groupId, "mary")).toBe("MEMBER");
    },
  );

  test("does not give ownership", async () => {
    const groupId = await groupWithRoles();
    const { groups } = await user("olga");
    const request = {
      member: { groupId, userId: "mary", role: Role.OWNER },
      updateMask: { paths: ["role"] },
    };
    expect(await failureOf((options) => groups.updateMember(request, options))).toMatchObject({
      code: "INVALID_ARGUMENT",
      violations: [{ field: "member.role" }],
    });
  });

  test("who is none is refused", async () => {
    const groupId = await groupWithRoles();
    const { groups } = await user("olga");
    const request = {
      member: { groupId, userId: "nobody", role: Role.ADMIN },
      updateMask: { paths: ["role"] },
    };
    expect(await failureOf((options) => groups.updateMember(request, options))).toMatchObject({
      code: "NOT_FOUND",
      reasonName: "MEMBER_NOT_FOUND",
    });
  });

  test("to what they are already is no event", async () => {
    const groupId = await groupWithRoles();
    const { groups, chat } = await user("olga");
    await groups.updateMember({
      member: { groupId, userId: "mary", role: Role.MEMBER },
      updateMask: { paths: ["role"] },
    });
    const { result } = await chat.sendGroup({ groupId, content: text("next") });
    expect(result?.seq).toBe(5n);
  });
});

describe("a mute", () => {
  test("of a member ends by itself, and the refusal tells when", async () => {
    const groupId = await groupWithRoles();
    const [olga, mary] = [await user("olga"), await user("mary")];
    const mute = (untilMs: number) =>
      olga.groups.updateMember({
        member: { groupId, userId: "mary", mutedUntilTime: timestampFromMs(untilMs) },
        updateMask: { paths: ["muted_until_time"] },
      });
    await mute(server.clock.now() + 60_000);
    const failure = await failureOf((options) =>
      mary.chat.sendGroup({ groupId, content: text("no") }, options),
    );
    expect(failure).toMatchObject({ code: "PERMISSION_DENIED", reasonName: "MEMBER_MUTED" });
    expect(failure.retryAfterMs).toBeGreaterThan(50_000);
    expect(failure.retryAfterMs).toBeLessThanOrEqual(60_000);
    expect(
      await answerOf(async (options) =>
        (await user("mike")).chat.sendGroup({ groupId, content: text("yes") }, options),
      ),
    ).toBe("OK");

    const again = () =>
      answerOf((options) => mary.chat.sendGroup({ groupId, content: text("again") }, options));
    server.clock.turn(50_000);
    expect(await again()).toBe("MEMBER_MUTED");
    server.clock.turn(10_000);
    expect(await again()).toBe("OK");
  });

  test("of a member can be lifted", async () => {
    const groupId = await groupWithRoles();
    const [olga, mary] = [await user("olga"), await user("mary")];
    const updateMask = { paths: ["muted_until_time"] };
    await olga.groups.updateMember({
      member: { groupId, userId: "mary", mutedUntilTime: timestampFromMs(server.clock.now() + 60_000) },
      updateMask,
    });
    expect(await answerOf((options) => mary.chat.sendGroup({ groupId, content: text("no") }, options))).toBe(
      "MEMBER_MUTED",
    );
    await olga.groups.updateMember({ member: { groupId, userId: "mary" }, updateMask });
    expect(await answerOf((options) => mary.chat.sendGroup({ groupId, content: text("yes") }, options))).toBe(
      "OK",
    );
  });

  test("of the group leaves the word to the owner and admins", async () => {
    const groupId = await groupWithRoles();
    const { groups } = await user("adam");
    const mute = (muted: boolean) =>
      groups.updateGroup({ group: { groupId, muted }, updateMask: { paths: ["muted"] } });
    expect((await mute(true)).group?.muted).toBe(true);
    const answers = await Promise.all(
      roleNames.map(async (name) => {
        const { chat } = await user(holders[name][0]);
        return answerOf((options) => chat.sendGroup({ groupId, content: text("hi") }, options));
      }),
    );
    expect(answers).toEqual(["OK", "OK", "GROUP_MUTED", "ROLE_TOO_LOW"]);
    await mute(false);
    const mary = await user("mary");
    expect(await answerOf((options) => mary.chat.sendGroup({ groupId, content: text("hi") }, options))).toBe(
      "OK",
    );
  });
});

describe("who may not send to a group", () => {
  test("neither adds members nor shows typing, by a call as on a stream, until they may send again", async () => {
    const groupId = await groupWithRoles();
    const [olga, mary, mike, rita] = await Promise.all(["olga", "mary", "mike", "rita"].map(user));
    const target = { case: "groupId" as const, value: groupId };
    const witness = (await user("adam")).stream();
    await witness.open();
    const attempts = async ({ chat, groups, stream }: UserClients) => {
      const open = stream();
      await open.open();
      open.send({ case: "setTyping", value: { target, typing: true } }, "type");
      const onStream = await Promise.race([
        open.next("refusal").then((refusal) => failureIn(refusal).reasonName),
        open.next("done").then(() => "OK"),
      ]);
      open.cancel();
      return [
        await answerOf((options) => groups.addMembers({ groupId, userIds: [newId()] }, options)),
        await answerOf((options) => chat.setTyping({ target, typing: true }, options)),
        onStream,
      ];
    };
    const all = (answer: string) => [answer, answer, answer];
    await olga?.groups.updateMember({
      member: { groupId, userId: "mary", mutedUntilTime: timestampFromMs(server.clock.now() + 3_600_000) },
      updateMask: { paths: ["muted_until_time"] },
    });
    expect(await attempts(mary as UserClients)).toEqual(all("MEMBER_MUTED"));
    expect(await attempts(rita as UserClients)).toEqual(all("ROLE_TOO_LOW"));
    await olga?.groups.updateGroup({ group: { groupId, muted: true }, updateMask: { paths: ["muted"] } });
    expect(await attempts(mike as UserClients)).toEqual(all("GROUP_MUTED"));
    await olga?.groups.updateGroup({ group: { groupId, muted: false }, updateMask: { paths: ["muted"] } });
    expect(await attempts(mike as UserClients)).toEqual(all("OK"));
    await witness.until(() => witness.all("typing").length === 2);
    expect(new Set(witness.all("typing").map(({ userId }) => userId))).toEqual(new Set(["mike"]));
    witness.cancel();
  });
});

describe("ownership", () => {
  test("goes to a member, and the former owner stays as an admin", async () => {
    const groupId = await groupWithRoles();
    const stream = await openStream("mike");
    const { group } = await (await user("olga")).groups.transferOwnership({ groupId, newOwnerId: "rita" });
    expect(group).toMatchObject({ groupId, ownerId: "rita", memberCount: 7 });
    const { members, change, actorId } = await stream.next(
      "membershipChanged",
      (event) => event.groupId === groupId && event.seq === 5n,
    );
    expect([MembershipChange[change], actorId]).toEqual(["UPDATED", "olga"]);
    expect(members.map(({ userId, role }) => [userId, Role[role]])).toEqual([
      ["rita", "OWNER"],
      ["olga", "ADMIN"],
    ]);
    const rita = await user("rita");
    expect(
      await answerOf((options) => rita.chat.sendGroup({ groupId, content: text("mine") }, options)),
    ).toBe("OK");
    expect(
      await answerOf(async (options) => (await user("olga")).groups.disbandGroup({ groupId }, options)),
    ).toBe("ROLE_TOO_LOW");
    expect(
      await answerOf(async (options) => (await user("olga")).groups.leaveGroup({ groupId }, options)),
    ).toBe("OK");
    stream.cancel();
  });

  test("goes to nobody outside the group, and to the owner without an event", async () => {
    const groupId = await groupWithRoles();
    const { groups, chat } = await user("olga");
    expect(
      await answerOf((options) => groups.transferOwnership({ groupId, newOwnerId: "nobody" }, options)),
    ).toBe("MEMBER_NOT_FOUND");
    expect((await groups.transferOwnership({ groupId, newOwnerId: "olga" })).group?.ownerId).toBe("olga");
    expect((await chat.sendGroup({ groupId, content: text("next") })).result?.seq).toBe(5n);
  });
});

describe("leaving", () => {
  test("ends what a member gets, with their own leaving as the last event", async () => {
    const groupId = await groupWithRoles();
    const [olga, mary] = [await user("olga"), await user("mary")];
    const stream = await openStream("mary");
    await olga.chat.sendGroup({ groupId, content: text("before") });
    await mary.groups.leaveGroup({ groupId });
    await olga.chat.sendGroup({ groupId, content: text("after") });
    await olga.chat.sendDirect({ recipientId: "mary", content: text(`end of ${groupId}`) });
    await stream.until(() => stream.texts().includes(`end of ${groupId}`));
    expect(logOf(stream, groupId).slice(-2)).toEqual(["5 MESSAGE", "6 LEFT mary by mary"]);
    expect(stream.texts()).not.toContain("after");
    expect(await answerOf((options) => mary.chat.sendGroup({ groupId, content: text("no") }, options))).toBe(
      "GROUP_NOT_FOUND",
    );
    expect(
      await answerOf((options) =>
        mary.messages.listMessages({ target: { case: "groupId", value: groupId } }, options),
      ),
    ).toBe("GROUP_NOT_FOUND");
    expect(await answerOf((options) => mary.groups.leaveGroup({ groupId }, options))).toBe("GROUP_NOT_FOUND");
    stream.cancel();
  });

  test("an OPEN group twice says that one is not a member", async () => {
    const groupId = await groupWithRoles(JoinPolicy.OPEN);
    const { groups, chat } = await user("mary");
    await groups.leaveGroup({ groupId });
    expect(await failureOf((options) => groups.leaveGroup({ groupId }, options))).toMatchObject({
      code: "PERMISSION_DENIED",
      reasonName: "NOT_A_MEMBER",
    });
    expect(await answerOf((options) => chat.sendGroup({ groupId, content: text("no") }, options))).toBe(
      "NOT_A_MEMBER",
    );
  });

  test("is not for the owner, alone or not", async () => {
    const alone = newId();
    const olga = await user("olga");
    await olga.groups.createGroup({ groupId: alone });
    for (const groupId of [alone, await groupWithRoles()]) {
      expect(await failureOf((options) => olga.groups.leaveGroup({ groupId }, options))).toMatchObject({
        code: "FAILED_PRECONDITION",
        reasonName: "OWNER_CANNOT_LEAVE",
      });
    }
  });
});

describe("disbanding", () => {
  test("is the last event every member gets, and the id stays taken", async () => {
    const groupId = await groupWithRoles();
    const ids = Object.values(holders).flat();
    const streams = await Promise.all(ids.map(openStream));
    const olga = await user("olga");
    await olga.groups.disbandGroup({ groupId });
    await Promise.all(
      streams.map((stream) =>
        stream.next("groupChanged", (group) => group.groupId === groupId && group.seq === 5n),
      ),
    );
    for (const stream of streams) {
      const group = stream.all("groupChanged").findLast((each) => each.groupId === groupId);
      expect(group).toMatchObject({ memberCount: 0, updaterId: "olga", seq: 5n });
      expect(group?.disbandTime).toBeDefined();
      expect(logOf(stream, groupId).at(-1)).toBe("5 DISBANDED by olga");
      stream.cancel();
    }
    expect(await answerOf((options) => olga.chat.sendGroup({ groupId, content: text("no") }, options))).toBe(
      "GROUP_NOT_FOUND",
    );
    expect(await answerOf((options) => olga.groups.getGroup({ groupId }, options))).toBe("GROUP_NOT_FOUND");
    expect(await answerOf((options) => olga.groups.createGroup({ groupId }, options))).toBe("GROUP_ID_TAKEN");
    const { groups } = await olga.groups.listMyGroups({ pageSize: 1000 });
    expect(groups.map((group) => group.groupId)).not.toContain(groupId);
  });

  test("reaches a member who was away when it happened", async () => {
    const groupId = newId();
    const olga = await user("olga");
    const away = await server.login("away");
    const before = away.stream();
    await before.open();
    const caughtUp = await before.next("caughtUp");
    await away.chat.ack(caughtUp.cursor ? { cursor: caughtUp.cursor } : {});
    before.cancel();
    await olga.groups.createGroup({ groupId, name: "short", memberIds: ["away"] });
    await olga.groups.disbandGroup({ groupId });
    const after = await openStream("away");
    expect(logOf(after, groupId)).toEqual([
      "1 GROUP short by olga",
      "2 ADDED olga,away by olga",
      "3 DISBANDED by olga",
    ]);
    after.cancel();
  });
});

describe("changing settings", () => {
  test("takes the fields of the mask only, as one event", async () => {
    const groupId = await groupWithRoles();
    const stream = await openStream("mary");
    const { groups } = await user("adam");
    const wanted = {
      groupId,
      name: "Renamed",
      joinPolicy: JoinPolicy.OPEN,
      historyForNewMembers: true,
      muted: true,
      memberLimit: 9,
      attributes: { topic: "cats" },
      ownerId: "adam",
      memberCount: 1,
    };
    const { group } = await groups.updateGroup({
      group: wanted,
      updateMask: { paths: ["name", "attributes"] },
    });
    expect(group).toMatchObject({
      groupId,
      name: "Renamed",
      attributes: { topic: "cats" },
      joinPolicy: JoinPolicy.INVITE,
      historyForNewMembers: false,
      muted: false,
      memberLimit: maxGroupMembers,
      ownerId: "olga",
      memberCount: 7,
      seq: 5n,
      updaterId: "adam",
    });
    const told = await stream.next("groupChanged", (each) => each.groupId === groupId && each.seq === 5n);
    expect(told).toEqual(group);
    const rest = ["join_policy", "history_for_new_members", "muted", "member_limit"];
    const all = await groups.updateGroup({ group: wanted, updateMask: { paths: rest } });
    expect(all.group).toMatchObject({
      joinPolicy: JoinPolicy.OPEN,
      historyForNewMembers: true,
      muted: true,
      memberLimit: 9,
      seq: 6n,
    });
    expect((await groups.getGroup({ groupId })).group).toEqual(all.group);
    stream.cancel();
  });

  test("to what they are already is no event", async () => {
    const groupId = await groupWithRoles();
    const { groups, chat } = await user("olga");
    const { group } = await groups.updateGroup({
      group: { groupId, muted: false, attributes: {} },
      updateMask: { paths: ["muted", "attributes"] },
    });
    expect(group?.seq).toBe(1n);
    expect((await chat.sendGroup({ groupId, content: text("next") })).result?.seq).toBe(5n);
  });

  test.each([
    [["owner_id"]],
    [["name", "member_count"]],
    [["Name"]],
    [[]],
    [["attributes.topic"]],
    [["constructor"]],
  ])("by the mask %j is refused and changes nothing", async (paths) => {
    const groupId = await groupWithRoles();
    const { groups } = await user("olga");
    const request = { group: { groupId, name: "no", ownerId: "mary" }, updateMask: { paths } };
    expect(await failureOf((options) => groups.updateGroup(request, options))).toMatchObject({
      code: "INVALID_ARGUMENT",
      reasonName: "FIELD_NOT_UPDATABLE",
    });
    expect((await groups.getGroup({ groupId })).group).toMatchObject({ name: "", ownerId: "olga", seq: 1n });
  });

  test("a limit of 0 or above the server's is the server's", async () => {
    const groupId = await groupWithRoles();
    const { groups } = await user("olga");
    const limit = async (memberLimit: number, options: CallOptions = {}) => {
      const request = { group: { groupId, memberLimit }, updateMask: { paths: ["member_limit"] } };
      return (await groups.updateGroup(request, options)).group?.memberLimit;
    };
    expect(await limit(12)).toBe(12);
    expect(await limit(0)).toBe(maxGroupMembers);
    expect(await limit(2_000_000_000)).toBe(maxGroupMembers);
    expect(await limit(7)).toBe(7);
    expect(await failureOf((options) => limit(6, options))).toMatchObject({
      code: "FAILED_PRECONDITION",
      reasonName: "MEMBER_LIMIT_TOO_LOW",
      violations: [{ field: "group.member_limit" }],
    });
    expect((await groups.getGroup({ groupId })).group).toMatchObject({ memberCount: 7, memberLimit: 7 });
    expect(await answerOf((options) => groups.addMembers({ groupId, userIds: ["nina"] }, options))).toBe(
      "GROUP_FULL",
    );
    expect(await answerOf((options) => groups.addMembers({ groupId, userIds: ["mary"] }, options))).toBe(
      "OK",
    );
  });

  test("attributes are kept to their limits", async () => {
    const groupId = await groupWithRoles();
    const { groups } = await user("olga");
    const update = (attributes: Record<string, string>) =>
      answerOf((options) =>
        groups.updateGroup(
          { group: { groupId, attributes }, updateMask: { paths: ["attributes"] } },
          options,
        ),
      );
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`key ${n}`, "ö".repeat(512)]));
    expect(await update(many(64))).toBe("OK");
    expect((await groups.getGroup({ groupId })).group?.attributes).toEqual(many(64));
    for (const wrong of [many(65), { ["k".repeat(65)]: "" }, { k: "ö".repeat(513) }]) {
      expect(await update(wrong)).toBe("INVALID_REQUEST");
    }
    expect(await update({ __proto__: null, constructor: "1", toString: "2" } as never)).toBe("OK");
    expect((await groups.getGroup({ groupId })).group?.attributes).toEqual({
      constructor: "1",
      toString: "2",
    });
    expect(await update({})).toBe("OK");
    expect((await groups.getGroup({ groupId })).group?.attributes).toEqual({});
  });
});

test("every change is an event with its own seq, in order, for everyone concerned and nobody else", async () => {
  const ids = ["olga", "mary", "mike", "nina", "zoe"] as const;
  const clients = Object.fromEntries(
    await Promise.all(ids.map(async (id) => [id, await user(id)])),
  ) as Record<(typeof ids)[number], UserClients>;
  const streams = Object.fromEntries(
    await Promise.all(ids.map(async (id) => [id, await openStream(id)])),
  ) as Record<(typeof ids)[number], TestStream>;
  const groupId = newId("events");
  const { olga, mary, nina } = clients;
  const say = (from: UserClients) => from.chat.sendGroup({ groupId, content: text("hi") });

  await olga.groups.createGroup({ groupId, name: "a", memberIds: ["mary"] });
  await say(mary);
  await olga.groups.addMembers({ groupId, userIds: ["mike", "nina"] });
  await say(nina);
  await olga.groups.updateGroup({
    group: { groupId, name: "b", joinPolicy: JoinPolicy.OPEN },
    updateMask: { paths: ["name", "join_policy"] },
  });
  await olga.groups.updateMember({
    member: { groupId, userId: "nina", role: Role.ADMIN },
    updateMask: { paths: ["role"] },
  });
  await nina.groups.removeMembers({ groupId, userIds: ["mike"] });
  await say(nina);
  await clients.zoe.groups.joinGroup({ groupId });
  await mary.groups.leaveGroup({ groupId });
  await say(olga);
  await olga.groups.transferOwnership({ groupId, newOwnerId: "nina" });
  await nina.groups.addMembers({ groupId, userIds: ["mary"] });
  await nina.groups.disbandGroup({ groupId });
  await Promise.all(
    ids.map(async (id) => {
      const last = `end ${groupId} ${id}`;
      await clients[id === "olga" ? "mary" : "olga"].chat.sendDirect({
        recipientId: id,
        content: text(last),
      });
      await streams[id].until(() => streams[id].texts().includes(last));
    }),
  );

  const log = [
    "1 GROUP a by olga",
    "2 ADDED olga,mary by olga",
    "3 MESSAGE",
    "4 ADDED mike,nina by olga",
    "5 MESSAGE",
    "6 GROUP b by olga",
    "7 UPDATED nina by olga",
    "8 REMOVED mike by nina",
    "9 MESSAGE",
    "10 JOINED zoe by zoe",
    "11 LEFT mary by mary",
    "12 MESSAGE",
    "13 UPDATED nina,olga by olga",
    "14 ADDED mary by nina",
    "15 DISBANDED by nina",
  ];
  expect(logOf(streams.olga, groupId)).toEqual(log);
  expect(logOf(streams.nina, groupId)).toEqual(log.slice(3));
  expect(logOf(streams.mike, groupId)).toEqual(log.slice(3, 8));
  expect(logOf(streams.zoe, groupId)).toEqual(log.slice(9));
  expect(logOf(streams.mary, groupId)).toEqual([...log.slice(0, 11), ...log.slice(13)]);
  for (const id of ids) {
    const positions = streams[id].events.flatMap(({ cursor }) =>
      cursor === undefined ? [] : [Number(cursor.position)],
    );
    expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
  }

  const again = (await server.login("mary", "another")).stream();
  await again.open({
    resumeFrom: {
      epoch: streams.mary.events.find(({ cursor }) => cursor)?.cursor?.epoch ?? "",
      position: 0n,
    },
    replayLimit: 10_000,
  });
  await again.next("caughtUp");
  expect(logOf(again, groupId)).toEqual(logOf(streams.mary, groupId));
  again.cancel();
  for (const stream of Object.values(streams)) stream.cancel();
});

test("a membership event counts the members there are after it", async () => {
  const stream = await openStream("olga");
  const { groups } = await user("olga");
  const groupId = newId("count");
  await groups.createGroup({ groupId, memberIds: ["mary"] });
  await groups.addMembers({ groupId, userIds: ["mike", "nina", "mary"] });
  await groups.removeMembers({ groupId, userIds: ["mary", "nina"] });
  await (await user("mike")).groups.leaveGroup({ groupId });
  const of = () => stream.all("membershipChanged").filter((event) => event.groupId === groupId);
  await stream.until(() => of().length === 4);
  expect(of().map(({ memberCount }) => memberCount)).toEqual([2, 4, 2, 1]);
  stream.cancel();
});

describe("lists are in the order of the ids' bytes, each entry once, whatever the page size", () => {
  // In UTF-16 an emoji would stand before U+FF01 and U+E000; in bytes it stands after.
  const names = [
    "Z",
    "a",
    "a!",
    "a a",
    "aa",
    "b",
    "~",
    "é",
    "ß",
    "日本",
    "\u{e000}x",
    "！",
    "😀",
    "😀a",
    "🙂",
  ];
  const byBytes = (ids: string[]) =>
    [...ids].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));

  async function pages<Item>(
    fetch: (pageToken: string) => Promise<{ items: Item[]; nextPageToken: string }>,
    pageSize: number,
  ): Promise<Item[]> {
    const all: Item[] = [];
    for (let token = ""; ; ) {
      const { items, nextPageToken } = await fetch(token);
      expect(items.length).toBeLessThanOrEqual(pageSize);
      expect(items.length).toBeGreaterThan(0);
      all.push(...items);
      if (nextPageToken === "") return all;
      token = nextPageToken;
    }
  }

  test.each([1, 7, 15, 16, 1000, 0])("ListMembers with page size %d", async (pageSize) => {
    const groupId = newId();
    const { groups } = await server.login("Z");
    await groups.createGroup({ groupId, memberIds: [...names].reverse() });
    const members = await pages(async (pageToken) => {
      const page = await groups.listMembers({ groupId, pageSize, pageToken });
      return { items: page.members, nextPageToken: page.nextPageToken };
    }, pageSize || 100);
    expect(members.map(({ userId }) => userId)).toEqual(byBytes(names));
  });

  test.each([1, 7, 15, 16, 1000, 0])("ListMyGroups with page size %d", async (pageSize) => {
    const { groups } = await user(`lister-${pageSize}`);
    const ids = names.map((name) => `${name} of ${pageSize}`);
    for (const groupId of [...ids].reverse()) await groups.createGroup({ groupId });
    const mine = await pages(async (pageToken) => {
      const page = await groups.listMyGroups({ pageSize, pageToken });
      return { items: page.groups, nextPageToken: page.nextPageToken };
    }, pageSize || 100);
    expect(mine.map(({ groupId }) => groupId)).toEqual(byBytes(ids));
    expect(mine.every(({ memberCount }) => memberCount === 1)).toBe(true);
  });

  test("a page token is good for the same list of the same caller only", async () => {
    const groupId = await groupWithRoles();
    const [olga, mary] = [await user("olga"), await user("mary")];
    const { nextPageToken: pageToken } = await olga.groups.listMembers({ groupId, pageSize: 1 });
    const other = await groupWithRoles();
    for (const call of [
      (options: object) => mary.groups.listMembers({ groupId, pageToken }, options),
      (options: object) => olga.groups.listMembers({ groupId: other, pageToken }, options),
      (options: object) => olga.groups.listMyGroups({ pageToken }, options),
      (options: object) => olga.groups.listMembers({ groupId, pageToken: `${pageToken}A` }, options),
      (options: object) => olga.groups.listMembers({ groupId, pageToken: "x" }, options),
    ]) {
      expect(await failureOf(call)).toMatchObject({
        code: "INVALID_ARGUMENT",
        reasonName: "INVALID_PAGE_TOKEN",
      });
    }
  });

  test("an OPEN group shows itself to strangers, its members to members only", async () => {
    const groupId = await groupWithRoles(JoinPolicy.OPEN);
    const { groups } = await user("stranger");
    expect((await groups.getGroup({ groupId })).group?.memberCount).toBe(7);
    expect(await answerOf((options) => groups.listMembers({ groupId }, options))).toBe("NOT_A_MEMBER");
    const request = { groupId, userIds: ["olga"] };
    expect(await answerOf((options) => groups.batchGetMembers(request, options))).toBe("NOT_A_MEMBER");
  });

  test("BatchGetMembers tells members and others apart, each once and in the order of the request", async () => {
    const groupId = newId();
    const { groups } = await server.login("Z");
    await groups.createGroup({ groupId, memberIds: ["bob", "amy"] });
    const answer = await groups.batchGetMembers({
      groupId,
      userIds: ["bob", "eve", "amy", "bob", "eve", "Z"],
    });
    expect(answer.members.map(({ userId }) => userId)).toEqual(["bob", "amy", "Z"]);
    expect(answer.missingIds).toEqual(["eve"]);
    const { members } = await groups.listMembers({ groupId });
    expect(answer.members).toEqual(expect.arrayContaining(members));
  });
});
