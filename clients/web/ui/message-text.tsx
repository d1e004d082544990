import { memo } from "react";
import { pieces } from "./links.ts";
import { visible } from "./text.ts";

/** What somebody typed, as text and nothing else; addresses can be followed. */
export const MessageText = memo(function MessageText({ text }: { text: string }) {
  return (
    <div className="message-text" dir="auto">
      {pieces(text).map(({ text: piece, href }, index) =>
        href === undefined ? (
          visible(piece)
        ) : (
          <a
            // biome-ignore lint/suspicious/noArrayIndexKey: the pieces of a text never move
            key={index}
            href={href}
            // Mail opens in a program of its own, and would leave an empty tab.
            target={href.startsWith("mailto:") ? undefined : "_blank"}
            rel="noopener noreferrer nofollow"
          >
            <bdi>{piece}</bdi>
          </a>
        ),
      )}
    </div>
  );
});
