import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { Conversation } from "../../model/state.ts";
import { useChat, useChatState } from "./context.ts";
import { Icon } from "./icons.tsx";
import { RowView } from "./row-view.tsx";
import { rowsOf } from "./rows.ts";
import { titleOf } from "./titles.ts";
import { usePageVisible } from "./use-page-visible.ts";

/** So near the end counts as at the end. */
const endPixels = 60;
/** With so few lines above, the page before is fetched. */
const fetchRows = 20;

/** The history: only the lines in sight are in the document, however many there are. */
export function TimelineView({ conversation }: { conversation: Conversation }) {
  const chat = useChat();
  const userId = useChatState((state) => state.userId);
  const title = useChatState((state) => titleOf(conversation, state.groups));
  const { id, timeline, unread, outgoing } = conversation;
  const rows = useMemo(() => rowsOf(conversation, userId), [conversation, userId]);
  const scroller = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  const pageVisible = usePageVisible();

  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    getItemKey: (index) => rows[index]?.key ?? index,
    estimateSize: (index) => (rows[index]?.kind === "bubble" ? 44 : 48),
    anchorTo: "end",
    followOnAppend: true,
    scrollEndThreshold: endPixels,
    overscan: 12,
    paddingStart: 8,
    paddingEnd: 12,
  });
  const items = virtualizer.getVirtualItems();
  const firstIndex = items[0]?.index ?? 0;

  const filled = rows.length > 0;
  useLayoutEffect(() => {
    if (filled) virtualizer.scrollToEnd();
  }, [filled, virtualizer]);

  // One's own message is shown wherever one had scrolled to.
  const lastOutgoing = outgoing.at(-1)?.clientMessageId;
  useLayoutEffect(() => {
    if (lastOutgoing !== undefined) virtualizer.scrollToEnd();
  }, [lastOutgoing, virtualizer]);

  // Lines change their height and their number; either may bring the end into sight or out of it.
  useEffect(() => setAtEnd(virtualizer.isAtEnd(endPixels)));

  const wantsOlder = timeline?.older === "more";
  useEffect(() => {
    if (wantsOlder && firstIndex < fetchRows) void chat.history.loadOlder(id);
  }, [wantsOlder, firstIndex, chat, id]);

  const newestSeq = conversation.lastSeq;
  // biome-ignore lint/correctness/useExhaustiveDependencies: each new message is read as it comes
  useEffect(() => {
    if (atEnd && pageVisible && filled) chat.reading.markRead(id);
  }, [atEnd, pageVisible, filled, newestSeq, unread, chat, id]);

  return (
    <div className="timeline">
      <div
        className="timeline-scroller"
        ref={scroller}
        role="log"
        aria-live="off"
        aria-label={`Messages with ${title}`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard
        tabIndex={0}
        onScroll={() => setAtEnd(virtualizer.isAtEnd(endPixels))}
      >
        <ul className="timeline-rows" style={{ height: virtualizer.getTotalSize() }}>
          {items.map((item) => {
            const row = rows[item.index];
            return (
              row && (
                <li
                  key={item.key}
                  ref={virtualizer.measureElement}
                  className="timeline-row"
                  data-index={item.index}
                  style={{ transform: `translateY(${item.start}px)` }}
                >
                  <RowView row={row} conversation={conversation} />
                </li>
              )
            );
          })}
        </ul>
      </div>
      <TimelineStatus conversation={conversation} />
      {!atEnd && (
        <button
          type="button"
          className="button timeline-newest"
          aria-label={unread > 0 ? `To the newest message, ${unread} unread` : "To the newest message"}
          onClick={() => virtualizer.scrollToEnd()}
        >
          <Icon name="down" />
          {unread > 0 && <span className="badge">{unread > 99 ? "99+" : unread}</span>}
        </button>
      )}
    </div>
  );
}

/** Says what is missing of the history, and why. */
function TimelineStatus({ conversation: { id, timeline, outgoing } }: { conversation: Conversation }) {
  const chat = useChat();
  if (timeline?.problem !== undefined)
    return (
      <div className="timeline-status" role="status">
        <span>{timeline.problem}</span>
        <button type="button" className="button button-small" onClick={() => void chat.history.open(id)}>
          Try again
        </button>
      </div>
    );
  if (timeline === undefined || timeline.older === "loading")
    return <div className="timeline-status timeline-status-quiet">Loading messages…</div>;
  if (timeline.entries.length === 0 && outgoing.length === 0)
    return (
      <div className="timeline-empty">
        <p>Nothing has been said yet.</p>
        <p>Write the first message.</p>
      </div>
    );
  return null;
}
