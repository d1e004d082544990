import { type Conversation, openOf, without } from "../../model/state.ts";
import { type Anchor, changePane, paneOf, type Shown, type TerminalState } from "./terminal-state.ts";

/** Returns what is shown where the user looks: what is loaded, with what the program says, then what is on its way. */
export function shownOf(state: TerminalState): readonly Shown[] {
  const open = openOf(state);
  const { lines } = paneOf(state);
  if (open === undefined) return lines;
  const shown: Shown[] = [];
  let next = 0;
  for (const entry of open.timeline?.entries ?? []) {
    for (let line = lines[next]; line !== undefined && line.seq < entry.seq; line = lines[++next])
      shown.push(line);
    shown.push(entry);
  }
  return [...shown, ...lines.slice(next), ...open.outgoing];
}

/** Returns where the reader has scrolled to, as long as that is there; undefined at the end. */
export function anchorOf(state: TerminalState): Anchor | undefined {
  const { anchor } = paneOf(state);
  return anchor !== undefined && shownOf(state).includes(anchor.entry) ? anchor : undefined;
}

/** Returns the state scrolled to an anchor, or to the end. */
export function withAnchor(state: TerminalState, anchor: Anchor | undefined): TerminalState {
  return changePane(state, state.openId, (pane) =>
    anchor === undefined ? without(pane, "anchor") : { ...pane, anchor },
  );
}

/** Returns the name people know a conversation by: the user, or `#` and the group. */
export function nameOf({ groups }: TerminalState, { target }: Conversation): string {
  if ("recipientId" in target) return target.recipientId;
  return `#${groups.get(target.groupId)?.group.name || target.groupId}`;
}
