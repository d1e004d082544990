/** Bodies with holes for what only the database knows. */

import { fromBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { expect, test } from "vitest";
import { GroupSchema, MembershipChangedSchema } from "../../gen/parlance/chat/v1/group_pb.js";
import { JoinPolicy, Role } from "../../src/model/records.ts";
import { encodeGroup, encodeMembershipChanged, MembershipChange } from "../../src/rules/group-events.ts";
import { fill, StandIns } from "../../src/store/postgres/tables/templates.ts";
import { seed } from "../support/seed.ts";

const text = fc.string({ unit: "binary", maxLength: 60 });
const timeMs = fc.integer({ min: 0, max: 4_102_444_800_000 });
const seq = fc.integer({ min: 0, max: 2 ** 40 });

test("a filled body says the same as one that was made with the real seq and time, whatever texts it holds", () => {
  fc.assert(
    fc.property(
      text,
      text,
      timeMs,
      timeMs,
      seq,
      fc.integer({ min: 1, max: 300 }),
      (a, b, old, now, base, event) => {
        const standIns = new StandIns();
        const group = {
          groupId: a,
          ownerId: b,
          name: a,
          joinPolicy: JoinPolicy.OPEN,
          historyForNewMembers: false,
          muted: true,
          memberLimit: 10,
          attributes: { [a]: b },
          memberCount: 3,
          createTimeMs: old,
          updaterId: b,
        };
        const body = encodeGroup(
          { ...group, updateTimeMs: standIns.timeMs, seq: standIns.seqOf(event) },
          standIns.timeMs,
        );
        const real = encodeGroup({ ...group, updateTimeMs: now, seq: base + event }, now);
        const filled = fill(standIns.cut(body), now, base);
        expect(filled).toHaveLength(body.length);
        const found = fromBinary(GroupSchema, filled);
        const wanted = fromBinary(GroupSchema, real);
        expect(found.disbandTime && timestampMs(found.disbandTime)).toBe(now);
        expect({ ...found, disbandTime: undefined }).toEqual({ ...wanted, disbandTime: undefined });
      },
    ),
    { seed: seed(), numRuns: 300 },
  );
});

test("each member of a change has the seq and time it is to have", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ userId: text, isNew: fc.boolean(), mutedUntilMs: timeMs }), { maxLength: 20 }),
      timeMs,
      seq,
      (members, now, base) => {
        const standIns = new StandIns();
        const body = encodeMembershipChanged({
          groupId: "g",
          seq: standIns.seqOf(2),
          change: MembershipChange.ADDED,
          actorId: "o",
          acceptTimeMs: standIns.timeMs,
          memberCount: 5,
          members: members.map(({ userId, isNew, mutedUntilMs }) => ({
            groupId: "g",
            userId,
            role: Role.MEMBER,
            joinTimeMs: isNew ? standIns.timeMs : 1234,
            joinSeq: 1,
            visibleFromSeq: isNew ? standIns.seqOf(1) : 1,
            mutedUntilMs,
          })),
        });
        const found = fromBinary(MembershipChangedSchema, fill(standIns.cut(body), now, base));
        expect(found).toMatchObject({ seq: BigInt(base + 2), memberCount: 5 });
        expect(found.acceptTime && timestampMs(found.acceptTime)).toBe(now);
        for (const [n, member] of found.members.entries()) {
          const { userId, isNew, mutedUntilMs } = members[n] as (typeof members)[number];
          expect(member).toMatchObject({ userId, visibleFromSeq: BigInt(isNew ? base + 1 : 1) });
          expect(member.joinTime && timestampMs(member.joinTime)).toBe(isNew ? now : 1234);
          expect(member.mutedUntilTime ? timestampMs(member.mutedUntilTime) : 0).toBe(mutedUntilMs);
        }
      },
    ),
    { seed: seed(), numRuns: 300 },
  );
});
