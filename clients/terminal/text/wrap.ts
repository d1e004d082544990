import { graphemesOf, widthOf } from "./width.ts";

/**
 * Breaks a text into lines: at its line breaks, between words, and within words
 * that are longer than a line.
 *
 * @param width cells a line may take, at least 2, the width of the widest character
 * @param firstWidth what the first line may take, if that is less
 */
export function wrap(text: string, width: number, firstWidth = width): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    const room = (): number => (lines.length === 0 ? firstWidth : width);
    let line = "";
    let used = 0;
    const endLine = (): void => {
      lines.push(line.trimEnd());
      line = "";
      used = 0;
    };
    for (const word of paragraph.match(/ +|[^ ]+/g) ?? []) {
      const wordWidth = widthOf(word);
      if (used + wordWidth <= room()) {
        line += word;
        used += wordWidth;
      } else if (word.startsWith(" ")) {
        // White space at a break is the break.
        endLine();
      } else {
        if (wordWidth <= width) endLine();
        for (const grapheme of graphemesOf(word)) {
          const graphemeWidth = widthOf(grapheme);
          if (used + graphemeWidth > room()) endLine();
          line += grapheme;
          used += graphemeWidth;
        }
      }
    }
    endLine();
  }
  return lines;
}
