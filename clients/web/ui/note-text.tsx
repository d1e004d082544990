import type { Note } from "../../model/state.ts";
import { sentenceOf } from "../../model/words.ts";
import { useChatState } from "./context.ts";
import { nameList } from "./titles.ts";

/** Tells what happened to a group, in a sentence. */
export function NoteText({ note }: { note: Note }) {
  const me = useChatState((state) => state.userId);
  const name = (userIds: readonly string[]) =>
    nameList(userIds.map((userId) => (userId === me ? "you" : userId)));
  return <bdi>{capital(sentenceOf(note, name))}</bdi>;
}

/** Only "you" gets a capital letter: names are written as their owners do. */
function capital(text: string): string {
  return text.startsWith("you ") ? `You ${text.slice(4)}` : text;
}
