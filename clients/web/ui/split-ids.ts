/** Returns the user ids in a text, each once: they stand between commas or on lines of their own. */
export function splitIds(text: string): string[] {
  const ids = text.split(/[,\n]/).map((id) => id.trim());
  return [...new Set(ids)].filter((id) => id !== "");
}
