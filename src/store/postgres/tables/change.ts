import type { LogEvent } from "../../../../wire/log-event.ts";
import { type ChangeName, type ChangeRequest, ruleOf } from "../../../rules/changes.ts";
import { placedBody } from "../../../rules/place.ts";
import type { ChangedGroup, Decision, JoinedMember, Rows } from "../../../rules/rule.ts";
import { encodeOtherSettings } from "../../other-settings.ts";
import type { Changed } from "../../ports/changes.ts";
import { bigintArray, byteaArray, textArray } from "../connection/binary-arrays.ts";
import type { Connections, Statement } from "../connection/connections.ts";
import { unavailable } from "../connection/failures.ts";
import type { Identity } from "../connection/identity.ts";
import { createFactReads } from "./facts.ts";

/** How often a change is decided anew because others changed what it looked at in the meantime. */
const maxTries = 100;

const changeStatement: Statement = {
  name: "change_1",
  text: `
    SELECT base_position AS "basePosition", base_seq AS "baseSeq", time_ms AS "timeMs"
    FROM change_1($1, $2, $3, $4, $5, $6, $7, $8, $9)
  `,
};

/** Where the database put the events of a change: right behind these. Nulls when the facts stand no more. */
interface Placed {
  basePosition: number;
  baseSeq: number | null;
  timeMs: number;
}

/**
 * Makes the function that carries out changes of conversations. It reads the
 * facts, lets the rule decide, and has the database carry that out in one
 * statement, unless the facts have changed in the meantime: then it begins anew.
 * So no lock is ever held while this process thinks.
 */
export function createChange(connections: Connections, identity: Identity) {
  const factsOf = createFactReads(connections);

  return async <N extends ChangeName>(name: N, request: ChangeRequest<N>): Promise<Changed<N>> => {
    const rule = ruleOf(name);
    for (let tries = 0; tries < maxTries; tries++) {
      const { compared, ...facts } = await factsOf(rule.needs(request));
      const decision = rule.decide(request, facts);
      if (decision.events.length === 0) return { answer: decision.answer(() => 0), events: [] };
      const values = changeValues(identity.epoch, compared, decision);
      const [placed] = await connections.run<Placed>(changeStatement, values);
      if (placed === undefined || placed.baseSeq === null) continue;
      const { baseSeq } = placed;
      return {
        answer: decision.answer((event) => baseSeq + event),
        events: placedEvents(decision, { ...placed, baseSeq }),
      };
    }
    throw unavailable("too many others change the conversation; try again");
  };
}

/** Makes the values of {@link changeStatement}. */
function changeValues(epoch: string, facts: string | null, decision: Decision<unknown>): unknown[] {
  const { conversationId, events, rows } = decision;
  return [
    epoch,
    conversationId,
    facts,
    textArray(events.map(({ senderId }) => senderId)),
    bigintArray(events.map(({ kind }) => kind)),
    byteaArray(events.map(({ body }) => body)),
    bigintArray(events.map(({ placeTags }) => placeTags?.seq ?? 0)),
    bigintArray(events.map(({ placeTags }) => placeTags?.acceptTime ?? 0)),
    JSON.stringify(rowsAsJson(rows)),
  ];
}

/** Makes what `change_1` knows as `changed`. */
function rowsAsJson({ group, joined = [], updated = [], ended = [], disbandedBy }: Rows) {
  return {
    group: group && groupAsJson(group),
    joined: joined.map(joinedAsJson),
    updated: updated.map(({ userId, role, mutedUntilMs }) => ({
      user_id: userId.toWellFormed(),
      role,
      muted_until_ms: mutedUntilMs,
    })),
    ended: ended.map(({ userId, lastEvent }) => ({ user_id: userId.toWellFormed(), last_event: lastEvent })),
    disbanded_by: disbandedBy,
  };
}

function groupAsJson({ record, settingsEvent }: ChangedGroup) {
  return {
    group_id: record.groupId,
    name: Buffer.from(record.name).toString("hex"),
    join_policy: record.joinPolicy,
    history_for_new_members: record.historyForNewMembers,
    muted: record.muted,
    member_limit: record.memberLimit,
    // A text inside a text: so it may hold any character, also those the database's JSON has no room for.
    attributes: JSON.stringify(record.attributes),
    owner_id: record.ownerId.toWellFormed(),
    member_count: record.memberCount,
    create_time_ms: record.createTimeMs,
    update_time_ms: record.updateTimeMs,
    updater_id: record.updaterId.toWellFormed(),
    other_settings: Buffer.from(encodeOtherSettings(record)).toString("hex"),
    settings_event: settingsEvent,
  };
}

function joinedAsJson(member: JoinedMember) {
  return {
    user_id: member.userId.toWellFormed(),
    role: member.role,
    join_time_ms: member.joinTimeMs,
    join_event: member.joinEvent,
    sees_history: member.seesHistory,
    muted_until_ms: member.mutedUntilMs,
  };
}

function placedEvents(
  { conversationId, events }: Decision<unknown>,
  { basePosition, baseSeq, timeMs }: { basePosition: number; baseSeq: number; timeMs: number },
): LogEvent[] {
  return events.map((draft, n) => {
    const seq = baseSeq + n + 1;
    const { kind, senderId } = draft;
    const body = placedBody(draft, seq, timeMs);
    return {
      position: basePosition + n + 1,
      conversationId,
      seq,
      kind,
      senderId,
      acceptTimeMs: timeMs,
      body,
    };
  });
}
