/** How much room text takes in a terminal, whose cells are all of one width. */

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });
const ascii = /^[\x20-\x7e]*$/;
const emoji = /^(?:\p{RGI_Emoji}|[\d#*]\u20E3)$/v;
/** What is drawn; a cluster without any takes no cell. */
const drawn = /[^\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\p{Mn}\p{Me}\p{Cs}]/v;
/** Marks that take a cell of their own beside their letter, and the half-width sound marks. */
const besides = /[\p{Mc}\uFF9E\uFF9F]/gu;
/** East Asian Width W and F (UAX #11); for emoji Unicode has a property, which flags' single letters share. */
const wide =
  /^(?![\u{1F1E6}-\u{1F1FF}])[\p{Emoji_Presentation}\u1100-\u115F\u2329\u232A\u2630-\u2637\u268A-\u268F\u2E80-\u2E99\u2E9B-\u2EF3\u2F00-\u2FD5\u2FF0-\u303E\u3041-\u3096\u3099-\u30FF\u3105-\u312F\u3131-\u318E\u3190-\u31E5\u31EF-\u321E\u3220-\u3247\u3250-\uA48C\uA490-\uA4C6\uA960-\uA97C\uAC00-\uD7A3\uF900-\uFAFF\uFE10-\uFE19\uFE30-\uFE52\uFE54-\uFE66\uFE68-\uFE6B\uFF01-\uFF60\uFFE0-\uFFE6\u{16FE0}-\u{18DFF}\u{1AFF0}-\u{1B2FF}\u{1D300}-\u{1D356}\u{1D360}-\u{1D376}\u{1F200}-\u{1F265}\u{20000}-\u{2FFFD}\u{30000}-\u{3FFFD}]/u;

/** Splits a text into what a reader takes for characters. */
export function graphemesOf(text: string): string[] {
  if (ascii.test(text)) return text.split("");
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

/** Returns how many cells a text takes: 0, 1 or 2 for each character. Controls count nothing. */
export function widthOf(text: string): number {
  if (ascii.test(text)) return text.length;
  let width = 0;
  for (const { segment } of segmenter.segment(text)) width += widthOfGrapheme(segment);
  return width;
}

/** Returns how many cells one character takes. */
export function widthOfGrapheme(grapheme: string): number {
  if (grapheme.length === 1 && ascii.test(grapheme)) return 1;
  const start = grapheme.search(drawn);
  if (start < 0) return 0;
  if (emoji.test(grapheme)) return 2;
  const besideBase = grapheme.slice(start + 1).match(besides)?.length ?? 0;
  return (wide.test(grapheme.slice(start)) ? 2 : 1) + besideBase;
}

/** Cuts a text that is too long for its room, with `…` at the end. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width <= 0) return "";
  let kept = "";
  let used = 1;
  for (const grapheme of graphemesOf(text)) {
    used += widthOfGrapheme(grapheme);
    if (used > width) break;
    kept += grapheme;
  }
  return `${kept}…`;
}

/** Cuts or fills a text to exactly a width. */
export function padTo(text: string, width: number): string {
  const short = cut(text, width);
  return short + " ".repeat(Math.max(0, width - widthOf(short)));
}
