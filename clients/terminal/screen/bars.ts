/** The single rows around the messages: title, who types, status. */

import { type Conversation, openOf } from "../../model/state.ts";
import { listOf } from "../../model/words.ts";
import { anchorOf, nameOf } from "../state/shown.ts";
import { type TerminalState, unreadElsewhere, unsentOf } from "../state/terminal-state.ts";
import { harmlessLine } from "../text/harmless.ts";
import { countText } from "./list-rows.ts";
import { cutRow, type Look, piece, type Row, rowWidth, spread } from "./row.ts";

/** Says what conversation is open. */
export function titleRow(state: TerminalState, width: number): Row {
  const open = openOf(state);
  const about = open === undefined ? "Parlance" : harmlessLine(nameOf(state, open));
  const more = open === undefined ? "" : `  ${describe(state, open)}`;
  return spread([piece(` ${about}`, "bar"), piece(more, "bar")], [piece("/help ", "bar")], width, "bar");
}

/** Says who types, or that the reader is not at the end. */
export function typingRow(state: TerminalState, width: number): Row {
  const open = openOf(state);
  const fresh = open?.unread ? `${countText(open.unread)} new` : "more";
  const below = anchorOf(state) === undefined ? [] : [piece(`↓ ${fresh} below, PgDn `, "warning")];
  const users = [...(open?.typing.keys() ?? [])].map((userId) => harmlessLine(userId));
  if (users.length === 0) return spread([], below, width);
  const who = users.length > 3 ? "several people" : listOf(users, 3);
  return spread([piece(` ${who} ${users.length === 1 ? "is" : "are"} typing…`, "faint")], below, width);
}

/** Says who one is, where, and how the connection stands. */
export function statusRow(state: TerminalState, width: number): Row {
  const [dot, words, look] = connectionOf(state);
  const who = `${harmlessLine(state.userId)} @ ${harmlessLine(state.address)}`;
  const unread = unreadElsewhere(state);
  const right: Row = state.hint
    ? [piece(`${harmlessLine(state.hint)} `, "warning")]
    : unread > 0
      ? [piece(`${countText(unread)} unread, Tab `, "mark")]
      : [];
  const full: Row = [piece(` ${dot} `, look), piece(who, "faint"), piece(`  ${words}`, look)];
  // A hint is there for a moment only, and must be seen.
  const left = state.hint ? cutRow(full, Math.max(3, width - rowWidth(right) - 1)) : full;
  return spread(left, right, width);
}

function connectionOf(state: TerminalState): [dot: string, words: string, look: Look] {
  const waiting = unsentOf(state);
  switch (state.connection) {
    case "live":
      return ["●", "connected", "good"];
    case "closed":
      return ["○", "closed", "bad"];
    default:
      return ["○", waiting > 0 ? `reconnecting…, ${waiting} to send` : "reconnecting…", "warning"];
  }
}

function describe(state: TerminalState, { target, left }: Conversation): string {
  if (left) return "you are no member";
  if ("groupId" in target) {
    const memberCount = state.groups.get(target.groupId)?.group.memberCount;
    return memberCount === undefined ? "group" : `${memberCount} member${memberCount === 1 ? "" : "s"}`;
  }
  if (state.connection !== "live") return "";
  return state.presence.get(target.recipientId)?.online ? "online" : "offline";
}
