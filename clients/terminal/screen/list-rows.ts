import { listed } from "../../model/conversations.ts";
import type { Conversation } from "../../model/state.ts";
import { nameOf } from "../state/shown.ts";
import type { TerminalState } from "../state/terminal-state.ts";
import { harmlessLine } from "../text/harmless.ts";
import { padTo } from "../text/width.ts";
import { type Look, piece, type Row } from "./row.ts";

/** Returns the rows of the list of conversations; the one that is open is always among them. */
export function listRows(state: TerminalState, width: number, height: number): Row[] {
  const conversations = listed(state);
  const open = conversations.findIndex(({ id }) => id === state.openId);
  const first = Math.max(0, Math.min(open - height + 2, conversations.length - height));
  return conversations.slice(first, first + height).map((each) => listRow(state, each, width));
}

/** Shows a count as people read it; the server counts no further than 10,000. */
export function countText(count: number): string {
  return count >= 10_000 ? "9999+" : String(count);
}

function listRow(state: TerminalState, conversation: Conversation, width: number): Row {
  const { id, unread, left } = conversation;
  const isOpen = id === state.openId;
  const [dot, dotLook] = dotOf(state, conversation);
  const count = unread > 0 ? ` ${countText(unread)}` : "";
  const name = padTo(harmlessLine(nameOf(state, conversation)), width - 5 - count.length);
  const look: Look = isOpen ? "chosen" : left ? "faint" : unread > 0 ? "strong" : "plain";
  return [
    piece(isOpen ? "▸" : " ", look),
    piece(dot, isOpen ? "chosen" : dotLook),
    piece(` ${name}`, look),
    piece(count, isOpen ? "chosen" : "mark"),
    piece(" │", "faint"),
  ];
}

/** A filled dot is online, an empty one offline; a group has none. */
function dotOf(state: TerminalState, { target }: Conversation): [string, Look] {
  if ("groupId" in target) return [" ", "faint"];
  if (state.connection !== "live") return ["·", "faint"];
  return state.presence.get(target.recipientId)?.online ? ["●", "good"] : ["○", "faint"];
}
