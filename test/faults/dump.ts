import { type DescMessage, equals, fromBinary, fromJsonString, type MessageShape } from "@bufbuild/protobuf";
import {
  GroupSchema,
  MembershipChange,
  MembershipChangedSchema,
} from "../../gen/parlance/chat/v1/group_pb.js";
import { ChatMessageSchema } from "../../gen/parlance/chat/v1/message_pb.js";
import { fromJsonForm, jsonOf, jsonOptions } from "../../src/rpc/connect/json.ts";
import { jsonSchemaOf } from "../../src/rpc/connect/json-schemas.ts";
import type { Store } from "../../src/store/store.ts";
import { messageIdOf } from "../../wire/ids.ts";
import { EventKind, type LogEvent } from "../../wire/log-event.ts";
import type { SeenEvent } from "./history.ts";

/** An event of the log as the store has it, with what it changes of who is in a group. */
export interface DumpEvent extends SeenEvent {
  senderId: string;
  change?: {
    type: "joined" | "left";
    /** Whom it concerns, and the first seq each of them may read. */
    members: { userId: string; visibleFromSeq: number }[];
  };
  /** Nobody is a member after it. */
  disbanded?: boolean;
}

/** The whole log of a store, in the order of position. */
export interface Dump {
  epoch: string;
  events: DumpEvent[];
}

const pageEvents = 1_000;

/**
 * Reads the whole log, and through JSON as well.
 *
 * @throws Error when JSON says of an event what it is not
 */
export async function dumpStore(store: Pick<Store, "epoch" | "salt" | "readTail">): Promise<Dump> {
  const events: DumpEvent[] = [];
  for (;;) {
    const page = await store.readTail(events.at(-1)?.position ?? 0, pageEvents);
    for (const event of page) events.push(dumpEvent(event, store.salt));
    if (page.length < pageEvents) return { epoch: store.epoch, events };
  }
}

function dumpEvent(event: LogEvent, salt: number): DumpEvent {
  const { conversationId, seq, position, senderId } = event;
  const place = { conversationId, seq, position, senderId };
  switch (event.kind) {
    case EventKind.MESSAGE: {
      const { content, clientMessageId } = read(ChatMessageSchema, event);
      return {
        ...place,
        kind: "message",
        messageId: messageIdOf(event.acceptTimeMs, salt, position),
        clientMessageId,
        body: content?.kind.case === "text" ? content.kind.value.body : "",
      };
    }
    case EventKind.GROUP: {
      const { disbandTime } = read(GroupSchema, event);
      return { ...place, kind: "groupChanged", ...(disbandTime && { disbanded: true }) };
    }
    case EventKind.MEMBERSHIP: {
      const { change, members } = read(MembershipChangedSchema, event);
      const type = changeTypes[change];
      return {
        ...place,
        kind: "membershipChanged",
        ...(type && {
          change: {
            type,
            members: members.map((member) => ({
              userId: member.userId,
              visibleFromSeq: Number(member.visibleFromSeq) || event.seq,
            })),
          },
        }),
      };
    }
    default:
      return { ...place, kind: "other" };
  }
}

/** Reads an event's body, by way of JSON. */
function read<Desc extends DescMessage>(schema: Desc, { body, position }: LogEvent): MessageShape<Desc> {
  const message = fromBinary(schema, body);
  const inJson = jsonSchemaOf(schema);
  const text = JSON.stringify(jsonOf(schema, message));
  const other = fromJsonForm(inJson, fromJsonString(inJson, text, jsonOptions)) as MessageShape<Desc>;
  if (!equals(schema, message, other))
    throw new Error(`the event at position ${position} is another in JSON`);
  return other;
}

const changeTypes: Readonly<Record<MembershipChange, "joined" | "left" | undefined>> = {
  [MembershipChange.UNSPECIFIED]: undefined,
  [MembershipChange.JOINED]: "joined",
  [MembershipChange.ADDED]: "joined",
  [MembershipChange.LEFT]: "left",
  [MembershipChange.REMOVED]: "left",
  [MembershipChange.UPDATED]: undefined,
};
