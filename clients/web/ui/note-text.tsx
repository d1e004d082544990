import { MembershipChange } from "../../../gen/parlance/chat/v1/group_pb.js";
import type { Note } from "../state/model.ts";
import { useChatState } from "./context.ts";
import { nameList } from "./titles.ts";

/** Tells what happened to a group, in a sentence. */
export function NoteText({ note }: { note: Note }) {
  const me = useChatState((state) => state.userId);
  const name = (userId: string) => (userId === me ? "you" : userId);
  return <bdi>{capital(sentence(name(note.actorId), nameList(note.userIds.map(name)), note.change))}</bdi>;
}

function sentence(actor: string, users: string, change: MembershipChange | undefined): string {
  switch (change) {
    case MembershipChange.JOINED:
      return `${users} joined`;
    case MembershipChange.ADDED:
      return `${actor} added ${users}`;
    case MembershipChange.LEFT:
      return `${users} left`;
    case MembershipChange.REMOVED:
      return `${actor} removed ${users}`;
    case MembershipChange.UPDATED:
      return `${actor} changed the role of ${users}`;
    default:
      return `${actor} changed the group’s settings`;
  }
}

/** Only "you" gets a capital letter: names are written as their owners do. */
function capital(text: string): string {
  return text.startsWith("you ") ? `You ${text.slice(4)}` : text;
}
