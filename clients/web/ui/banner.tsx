import { useEffect, useState } from "react";
import type { Link } from "../state/page-state.ts";
import { inWords } from "../state/words.ts";
import { useChat, useChatState } from "./context.ts";

/** Says what is going on while no events come, and what can be done about it. */
export function Banner() {
  const chat = useChat();
  const link = useChatState((state) => state.link);
  const loaded = useChatState((state) => state.loaded);
  const seconds = useSecondsUntil(link.phase === "waiting" ? link.retryAtMs : undefined);
  // The first connection is shown by the empty list.
  const hidden = link.phase === "live" || (link.phase === "connecting" && !loaded);
  const closed = link.phase === "closed";

  return (
    <div className="banner-place" role="status">
      {!hidden && (
        <div className={closed ? "banner" : "banner banner-waits"}>
          <span className="banner-dot" />
          <span>{textOf(link, seconds)}</span>
          {link.phase === "waiting" && seconds > 0 && (
            <button type="button" className="button button-small" onClick={() => chat.retryNow()}>
              Retry now
            </button>
          )}
          {closed && (
            <button type="button" className="button button-small" onClick={() => location.reload()}>
              Use it here
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function textOf(link: Link, seconds: number): string {
  switch (link.phase) {
    case "offline":
      return "You are offline. What you send goes out when you are back.";
    case "waiting":
      return seconds > 0 ? `No connection. Trying again in ${seconds} s.` : "Connecting again…";
    case "closed":
      return inWords(link.error);
    default:
      return "Connecting…";
  }
}

function useSecondsUntil(timeMs: number | undefined): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    setNow(Date.now());
    if (timeMs === undefined) return;
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [timeMs]);
  return timeMs === undefined ? 0 : Math.max(0, Math.ceil((timeMs - now) / 1_000));
}
