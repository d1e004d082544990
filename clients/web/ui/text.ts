const bidiControls = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const controls = /[^\P{Cc}\n\t]/gu;

/** Shows control characters, such as those of terminals, as symbols. Line breaks and tabs stay. */
export function visible(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(controls, symbolOf);
}

/** Unicode has pictures for the old control characters; the newer ones share one. */
function symbolOf(control: string): string {
  const code = control.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? "\u2421" : "\ufffd";
}

/** Returns a text that may stand beside others in one line: nothing in it turns the others around. */
export function inline(text: string): string {
  return visible(text.replace(bidiControls, "").replace(/\s+/g, " ")).trim();
}

/** Returns one or two letters that stand for a name. */
export function initials(name: string): string {
  const words = inline(name)
    .split(/[\s._@-]+/u)
    .filter((word) => /[\p{L}\p{N}]/u.test(word));
  const letters = words.map((word) => [...word].find((letter) => /[\p{L}\p{N}]/u.test(letter)) ?? "");
  const [first = "?", last] = [letters[0], letters.length > 1 ? letters.at(-1) : undefined];
  return (first + (last ?? "")).toUpperCase();
}

/** Returns a colour for an id, as a hue in degrees; always the same for the same id. */
export function hueOf(id: string): number {
  let hash = 2166136261;
  for (const byte of new TextEncoder().encode(id)) hash = Math.imul(hash ^ byte, 16777619);
  return (hash >>> 0) % 360;
}
