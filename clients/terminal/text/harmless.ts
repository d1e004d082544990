/**
 * What others wrote is shown, never obeyed. Every text that comes from outside
 * passes through here before it gets near the terminal.
 */

/** Marks that turn the direction of writing, and with it the look of what stands around them. */
const bidiControls = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu;
/** What takes no room and shows nothing; joiners and variation selectors stay, as scripts and emoji need them. */
const invisible = /(?!\u200C|\u200D|\uFE0E|\uFE0F)\p{Default_Ignorable_Code_Point}/gu;
/** Joiners within emoji: terminals disagree about how wide a joined emoji is, never about its parts. */
const emojiJoiners = /(?<=\p{Extended_Pictographic}[\uFE0F\u{1F3FB}-\u{1F3FF}]?)\u200D/gu;
/** More marks on one letter than any language has; they would be drawn over other lines. */
const heapedMarks = /(\p{M}{4})\p{M}+/gu;
const control = /[^\P{Cc}\n]/gu;
const plain = /^[\n\x20-\x7e]*$/;

/**
 * Makes a text harmless. Its line breaks stay; tabs become spaces, control
 * characters become pictures of themselves, as ␛ for ESC, and what would turn
 * the direction of writing or cannot be seen is left out.
 */
export function harmless(text: string): string {
  if (plain.test(text)) return text;
  return text
    .toWellFormed()
    .normalize("NFC")
    .replace(/\r\n|[\u2028\u2029]/g, "\n")
    .replaceAll("\t", "    ")
    .replace(control, pictureOf)
    .replace(bidiControls, "")
    .replace(emojiJoiners, "")
    .replace(invisible, "")
    .replace(heapedMarks, "$1");
}

/** As `harmless`, on one line: for names and short texts. */
export function harmlessLine(text: string): string {
  return harmless(text).replace(/\n+/g, " ");
}

/** Unicode has pictures of the controls of ASCII only. */
function pictureOf(character: string): string {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? "\u2421" : "\uFFFD";
}
