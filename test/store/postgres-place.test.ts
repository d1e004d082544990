/** The place of an event, which each store writes behind its body. */

import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MembershipChangedSchema } from "../../gen/parlance/chat/v1/group_pb.js";
import { membershipPlaceTags } from "../../src/rules/group-events.ts";
import { placedBody } from "../../src/rules/place.ts";
import { createPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import { EventKind } from "../../wire/log-event.ts";
import { describeWithPostgres, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { seed } from "../support/seed.ts";

const { seq: seqTag, acceptTime: timeTag = 0 } = membershipPlaceTags;
const seqs = fc.integer({ min: 1, max: 2 ** 53 - 1 });
const times = fc.integer({ min: 1, max: 253_402_300_799_999 });

/** The fields as any encoder of Protobuf writes them. */
function encoded(seq: number, timeMs: number): Buffer {
  const place = { seq: BigInt(seq), acceptTime: timestampFromMs(timeMs) };
  return Buffer.from(toBinary(MembershipChangedSchema, create(MembershipChangedSchema, place)));
}

test("the place behind a body is what an encoder of Protobuf writes", () => {
  fc.assert(
    fc.property(seqs, times, fc.uint8Array({ maxLength: 20 }), (seq, timeMs, body) => {
      const draft = { kind: EventKind.MEMBERSHIP, senderId: "", body, placeTags: membershipPlaceTags };
      expect(Buffer.from(placedBody(draft, seq, timeMs))).toEqual(
        Buffer.concat([body, encoded(seq, timeMs)]),
      );
    }),
    { seed: seed(), numRuns: 300 },
  );
});

describeWithPostgres("PostgreSQL", () => {
  let postgres: TestPostgres;
  let url: string;

  beforeAll(async () => {
    postgres = await startPostgres();
    url = await postgres.createDatabase();
    await (await createPostgresStore({ url })).close();
  }, 60_000);
  afterAll(() => postgres?.stop());

  test("writes the same bytes", async () => {
    const places = fc.sample(fc.tuple(seqs, times), { seed: seed(), numRuns: 500 });
    const values = places.map(([seq, timeMs]) => `(${seq}::bigint, ${timeMs}::bigint)`).join(", ");
    const rows = await postgres.query(
      `${url}?options=-csearch_path%3Dparlance`,
      `SELECT encode(number_field_1(${seqTag}, seq) || time_field_1(${timeTag}, ms), 'hex') AS hex
         FROM (VALUES ${values}) AS v (seq, ms)`,
    );
    expect(rows.map((row) => (row as { hex: string }).hex)).toEqual(
      places.map(([seq, timeMs]) => encoded(seq, timeMs).toString("hex")),
    );
  });
});
