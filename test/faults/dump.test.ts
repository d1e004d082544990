import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { MembershipChangedSchema } from "../../gen/parlance/chat/v1/group_pb.js";
import { ChatMessageSchema } from "../../gen/parlance/chat/v1/message_pb.js";
import { EventKind, type LogEvent } from "../../wire/log-event.ts";
import { dumpStore } from "./dump.ts";

const place = { conversationId: "g:g", seq: 1, position: 1, senderId: "ada", acceptTimeMs: 1 };

/** Dumps a store whose log is one event. */
function dump(event: Pick<LogEvent, "kind" | "body">) {
  return dumpStore({ epoch: "e", salt: 1, readTail: async () => [{ ...place, ...event }] });
}

test("a dump is read through JSON as well", async () => {
  const value = { typeUrl: "google.protobuf.Struct", value: Uint8Array.of(0xff) };
  const content = { kind: { case: "custom" as const, value } };
  const body = toBinary(ChatMessageSchema, create(ChatMessageSchema, { content, clientMessageId: "c" }));
  const { events } = await dump({ kind: EventKind.MESSAGE, body });
  expect(events).toMatchObject([{ kind: "message", clientMessageId: "c" }]);
});

test("an event of which JSON says what it is not is found in a dump", async () => {
  const members = [{ userId: "ben", mutedUntilTime: { seconds: 2n ** 60n } }];
  const body = toBinary(MembershipChangedSchema, create(MembershipChangedSchema, { members }));
  await expect(dump({ kind: EventKind.MEMBERSHIP, body })).rejects.toThrow("position 1 is another in JSON");
});
