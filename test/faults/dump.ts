import { fromBinary } from "@bufbuild/protobuf";
import {
  GroupSchema,
  MembershipChange,
  MembershipChangedSchema,
} from "../../gen/parlance/chat/v1/group_pb.js";
import { ChatMessageSchema } from "../../gen/parlance/chat/v1/message_pb.js";
import { messageIdOf } from "../../src/chat/ids.ts";
import { EventKind, type LogEvent, type Store } from "../../src/store/store.ts";
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

/** Reads the whole log. */
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
      const { content, clientMessageId } = fromBinary(ChatMessageSchema, event.body);
      return {
        ...place,
        kind: "message",
        messageId: messageIdOf(event.acceptTimeMs, salt, position),
        clientMessageId,
        body: content?.kind.case === "text" ? content.kind.value.body : "",
      };
    }
    case EventKind.GROUP: {
      const { disbandTime } = fromBinary(GroupSchema, event.body);
      return { ...place, kind: "groupChanged", ...(disbandTime && { disbanded: true }) };
    }
    case EventKind.MEMBERSHIP: {
      const { change, members } = fromBinary(MembershipChangedSchema, event.body);
      const type = changeTypes[change];
      return {
        ...place,
        kind: "membershipChanged",
        ...(type && {
          change: {
            type,
            members: members.map((member) => ({
              userId: member.userId,
              visibleFromSeq: Number(member.visibleFromSeq),
            })),
          },
        }),
      };
    }
  }
}

const changeTypes: Readonly<Record<MembershipChange, "joined" | "left" | undefined>> = {
  [MembershipChange.UNSPECIFIED]: undefined,
  [MembershipChange.JOINED]: "joined",
  [MembershipChange.ADDED]: "joined",
  [MembershipChange.LEFT]: "left",
  [MembershipChange.REMOVED]: "left",
  [MembershipChange.UPDATED]: undefined,
};
