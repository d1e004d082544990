import { fromBinary } from "@bufbuild/protobuf";
import {
  type Group,
  GroupSchema,
  type MembershipChanged,
  MembershipChangedSchema,
} from "../../gen/parlance/chat/v1/group_pb.js";
import { EventKind } from "../../wire/log-event.ts";
import type { MissedConversation } from "../model/records.ts";
import type { CatchUpStore } from "../store/ports/catch-up.ts";
import type { StoreIdentity } from "../store/ports/identity.ts";
import { cursorAt, encodeEvent } from "./frames.ts";
import type { Session, Untold } from "./session.ts";

/** The most conversations of one `behind`, and bytes of the events in it. An id takes up to 390 bytes, and is in two maps. */
const maxConversations = 500;
const maxEventBytes = 131_072;

/**
 * Tells a session of the next conversations in which events wait that are not
 * replayed. The last of these answers carries the cursor up to which all were
 * told; the others one that moves nothing, so that whoever acknowledges what it
 * got skips none of the rest.
 */
export async function tellBehind(
  store: StoreIdentity & CatchUpStore,
  session: Session,
  untold: Untold,
): Promise<void> {
  const { userId } = session.caller;
  const { afterPosition, from } = untold;
  const page = await store.listMissed(userId, afterPosition, from, maxConversations, maxEventBytes);
  const { conversations, next } = page;
  const more = next !== undefined;
  session.untold = more ? { afterPosition, from: next } : undefined;
  session.reply(
    encodeEvent({
      case: "behind",
      value: {
        lastSeqs: seqsOf(conversations, ({ lastSeq }) => lastSeq),
        firstSeqs: seqsOf(conversations, ({ firstSeq }) => firstSeq),
        cursor: cursorAt(store.epoch, more ? afterPosition : session.through),
        more,
        ...endingsOf(conversations),
      },
    }),
  );
}

function seqsOf(
  conversations: readonly MissedConversation[],
  seqOf: (conversation: MissedConversation) => number,
): Record<string, bigint> {
  return Object.fromEntries(conversations.map((each) => [each.conversationId, BigInt(seqOf(each))]));
}

function endingsOf(conversations: readonly MissedConversation[]) {
  const left: MembershipChanged[] = [];
  const disbanded: Group[] = [];
  for (const { ended } of conversations) {
    if (ended?.kind === EventKind.MEMBERSHIP) left.push(fromBinary(MembershipChangedSchema, ended.body));
    if (ended?.kind === EventKind.GROUP) disbanded.push(fromBinary(GroupSchema, ended.body));
  }
  return { left, disbanded };
}
