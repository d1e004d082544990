import { pieces, visible } from "./text.ts";

/** What somebody typed, as text and nothing else; web addresses can be followed. */
export function MessageText({ text }: { text: string }) {
  return (
    <div className="message-text" dir="auto">
      {pieces(visible(text)).map(({ text: piece, href }, index) =>
        href === undefined ? (
          piece
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: the pieces of a text never move
          <a key={index} href={href} target="_blank" rel="noopener noreferrer nofollow">
            <bdi>{piece}</bdi>
          </a>
        ),
      )}
    </div>
  );
}
