import { groupConversationId } from "../../../../wire/ids.ts";
import type { GroupChange } from "../../../model/records.ts";
import { readRestraints } from "../../../rules/group-events.ts";
import { createGroupMembers } from "../../../rules/group-members.ts";
import { createGroupSettings } from "../../../rules/group-settings.ts";
import type { Restraint } from "../../../rules/group-tables.ts";
import type { Store } from "../../store.ts";
import { bigintArray, byteaArray, textArray } from "../connection/binary-arrays.ts";
import type { Connections, Statement } from "../connection/connections.ts";
import { unavailable } from "../connection/failures.ts";
import type { Identity } from "../connection/identity.ts";
import { GroupDraft, type LoadedGroup } from "./group-draft.ts";
import {
  type GroupRow,
  groupColumns,
  type MemberRow,
  memberColumns,
  toGroupRecord,
  toMemberRecord,
} from "./group-rows.ts";

/** How often a change is worked out anew because others changed the group in the meantime. */
const maxTries = 100;

const loadStatement: Statement = {
  name: "load_group",
  text: `
    SELECT ${groupColumns}, g.change_seq AS "changeSeq", g.disband_time_ms IS NOT NULL AS "isDisbanded",
      CASE WHEN m.user_id IS NOT NULL THEN (SELECT row_to_json(r) FROM (SELECT ${memberColumns}) r) END AS member
    FROM groups g LEFT JOIN members m ON m.conversation = g.conversation AND m.user_id = ANY ($2)
    WHERE g.group_id = $1
  `,
};

/** Finds the events that ended the last stays of users who are no members now. */
const endingsStatement: Statement = {
  name: "last_stays",
  text: `
    SELECT json_agg(s.user_id) AS "userIds", e.body
    FROM (
      SELECT u.user_id, g.conversation, (
        SELECT max(to_seq) FROM past_stays p WHERE p.user_id = u.user_id AND p.conversation = g.conversation
      ) AS seq
      FROM groups g CROSS JOIN unnest($2::text[]) AS u (user_id) WHERE g.group_id = $1
    ) s
    JOIN events e ON e.conversation = s.conversation AND e.seq = s.seq
    GROUP BY e.position
  `,
};

const changeStatement: Statement = {
  name: "change_group_2",
  text: `
    SELECT base_position AS "basePosition", base_seq AS "baseSeq", time_ms AS "timeMs",
      CASE WHEN base_seq IS NOT NULL AND cardinality($31::text[]) > 0 THEN mute_members_1($2, $31, $32) END
    FROM change_group_1(${Array.from({ length: 30 }, (_, n) => `$${n + 1}`).join(", ")})
  `,
};

/** Carries out a change of a group and tells of it. */
export type ChangeGroup = Pick<
  Store,
  | "createGroup"
  | "updateGroup"
  | "disbandGroup"
  | "joinGroup"
  | "leaveGroup"
  | "addMembers"
  | "removeMembers"
  | "updateMember"
  | "transferOwnership"
>;

type Rules = ReturnType<typeof createGroupSettings> & ReturnType<typeof createGroupMembers>;

/**
 * Makes the changes of groups and their members. Each reads the group, works
 * the change out by the rules all stores share, and carries it out in one
 * statement, unless someone else has changed the group in the meantime: then it
 * begins anew. So no lock is ever held while this process thinks.
 */
export function createGroupChanges(connections: Connections, identity: Identity): ChangeGroup {
  async function loadRestraints(
    groupId: string,
    userIds: readonly string[],
  ): Promise<Map<string, Restraint>> {
    if (userIds.length === 0) return new Map();
    type Row = { userIds: string[]; body: Uint8Array };
    const rows = await connections.run<Row>(endingsStatement, [groupId, textArray(userIds)]);
    return new Map(
      rows.flatMap(({ userIds: ended, body }) => {
        const all = readRestraints(body);
        return ended.flatMap((userId) => {
          const restraint = all.get(userId);
          return restraint === undefined ? [] : [[userId, restraint] as const];
        });
      }),
    );
  }

  async function load(
    groupId: string,
    userIds: readonly string[],
    comingIds: readonly string[],
  ): Promise<LoadedGroup | undefined> {
    type Row = GroupRow & { changeSeq: number; isDisbanded: boolean; member: MemberRow | null };
    const rows = await connections.run<Row>(loadStatement, [groupId, textArray(userIds)]);
    const first = rows[0];
    if (first === undefined) return undefined;
    const { changeSeq, isDisbanded, member: _, ...group } = first;
    const members = rows.flatMap(({ member }) => (member === null ? [] : [toMemberRecord(groupId, member)]));
    return {
      record: toGroupRecord(group),
      isDisbanded,
      changeSeq,
      members: new Map(members.map((member) => [member.userId, member])),
      // Whoever leaves meanwhile changes the group, and then all begins anew.
      restraints: await loadRestraints(groupId, comingIds),
    };
  }

  async function change(
    groupId: string,
    userIds: readonly string[],
    decide: (rules: Rules) => GroupChange,
    comingIds: readonly string[] = [],
  ): Promise<GroupChange> {
    for (let tries = 0; tries < maxTries; tries++) {
      const loaded = await load(groupId, userIds, comingIds);
      const draft = new GroupDraft(loaded);
      const decided = decide({ ...createGroupSettings(draft, draft), ...createGroupMembers(draft, draft) });
      if (draft.events.length === 0) return decided;
      const values = changeValues(identity.epoch, groupId, loaded?.changeSeq ?? 0, draft);
      const [placed] = await connections.run<{ basePosition: number; baseSeq: number; timeMs: number }>(
        changeStatement,
        values,
      );
      if (placed !== undefined && placed.baseSeq !== null) return draft.complete(decided, placed);
    }
    throw unavailable("too many others change the group; try again");
  }

  return {
    createGroup: (groupId, ...rest) => change(groupId, [], (rules) => rules.createGroup(groupId, ...rest)),
    updateGroup: (groupId, actorId, ...rest) =>
      change(groupId, [actorId], (rules) => rules.updateGroup(groupId, actorId, ...rest)),
    disbandGroup: (groupId, actorId) =>
      change(groupId, [actorId], (rules) => rules.disbandGroup(groupId, actorId)),
    joinGroup: (groupId, userId) =>
      change(groupId, [userId], (rules) => rules.joinGroup(groupId, userId), [userId]),
    leaveGroup: (groupId, userId) => change(groupId, [userId], (rules) => rules.leaveGroup(groupId, userId)),
    addMembers: (groupId, actorId, userIds, ...rest) =>
      change(
        groupId,
        [actorId, ...userIds],
        (rules) => rules.addMembers(groupId, actorId, userIds, ...rest),
        userIds,
      ),
    removeMembers: (groupId, actorId, userIds) =>
      change(groupId, [actorId, ...userIds], (rules) => rules.removeMembers(groupId, actorId, userIds)),
    updateMember: (groupId, actorId, userId, ...rest) =>
      change(groupId, [actorId, userId], (rules) => rules.updateMember(groupId, actorId, userId, ...rest)),
    transferOwnership: (groupId, actorId, newOwnerId) =>
      change(groupId, [actorId, newOwnerId], (rules) =>
        rules.transferOwnership(groupId, actorId, newOwnerId),
      ),
  };
}

/** Makes the values of {@link changeStatement}. */
function changeValues(epoch: string, groupId: string, changeSeq: number, draft: GroupDraft): unknown[] {
  const { events, saved, joined, updated, ended, standIns } = draft;
  const muted = joined.filter(({ mutedUntilMs }) => mutedUntilMs !== 0);
  const pieces = events.flatMap(({ template }, n) => template.map((part) => ({ ...part, event: n + 1 })));
  return [
    epoch,
    groupConversationId(groupId),
    groupId,
    changeSeq,
    events[0]?.senderId,
    bigintArray(events.map(({ kind }) => kind)),
    byteaArray(pieces.map(({ piece }) => piece)),
    bigintArray(pieces.map(({ event }) => event)),
    bigintArray(pieces.map(({ hole }) => hole)),
    saved !== undefined,
    saved === undefined ? 0 : standIns.eventOf(saved.seq),
    saved && Buffer.from(saved.name),
    saved?.joinPolicy,
    saved?.historyForNewMembers,
    saved?.muted,
    saved?.memberLimit,
    saved && JSON.stringify(saved.attributes),
    saved?.ownerId,
    saved?.memberCount,
    saved?.updaterId,
    draft.isDisbanding,
    textArray(joined.map(({ userId }) => userId)),
    bigintArray(joined.map(({ role }) => role)),
    bigintArray(joined.map(({ joinSeq }) => standIns.eventOf(joinSeq))),
    joined[0]?.visibleFromSeq === 1,
    textArray(updated.map(({ userId }) => userId)),
    bigintArray(updated.map(({ role }) => role)),
    bigintArray(updated.map(({ mutedUntilMs }) => mutedUntilMs)),
    textArray(ended.map(({ userId }) => userId)),
    bigintArray(ended.map(({ event }) => event)),
    textArray(muted.map(({ userId }) => userId)),
    bigintArray(muted.map(({ mutedUntilMs }) => mutedUntilMs)),
  ];
}
