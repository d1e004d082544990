import { readFileSync } from "node:fs";

/**
 * Reads a text file, without the byte order mark that some editors put first.
 *
 * @throws Error in words for people, without any of what the file holds
 */
export function readTextFile(path: string): string {
  const bytes = readFileSync(path);
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    throw new Error(`${path} is UTF-16; save it as UTF-8`);
  try {
    // The decoder itself takes the mark away.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Error(`${path} is not text in UTF-8`, { cause });
  }
}
