import { parseArgs } from "node:util";
import type { ArgsDef } from "citty";
import { failUsage } from "./errors.ts";

/**
 * Refuses command-line arguments that a command does not define: citty itself
 * passes over unknown options, missing values and words too many. Node makes
 * U+FFFD of bytes that are not UTF-8, so that two ids would become one: refused
 * as well.
 *
 * @param command the command's name, for the way out
 * @throws CommandError with exit code 2
 */
export function checkArguments(command: string, rawArgs: readonly string[], defs: ArgsDef): void {
  const kinds = new Map<string, "flag" | "value">();
  for (const [name, def] of Object.entries(defs)) {
    if (def.type === "positional") continue;
    const aliases = "alias" in def && def.alias ? [def.alias].flat() : [];
    for (const each of [name, kebab(name), ...aliases])
      kinds.set(each, def.type === "boolean" ? "flag" : "value");
  }
  const { tokens } = parseArgs({
    args: [...rawArgs],
    options: Object.fromEntries(
      [...kinds].map(
        ([name, kind]) => [name, { type: kind === "flag" ? "boolean" : "string", ...short(name) }] as const,
      ),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const wayOut = `\`parlance ${command} --help\` lists what it takes`;
  for (const token of tokens) {
    if (token.kind !== "option-terminator" && /\ufffd|\p{Cs}/u.test(token.value ?? ""))
      failUsage(`${token.kind === "option" ? token.rawName : "a word"} is not well-formed UTF-8`, wayOut);
    if (token.kind !== "option") continue;
    const negated = kinds.get(token.name.replace(/^no-/, "")) === "flag" && token.name.startsWith("no-");
    const kind = negated ? "flag" : kinds.get(token.name);
    if (kind === undefined) failUsage(`${token.rawName} is no option of ${command}`, wayOut);
    if (kind === "value" && !token.value) failUsage(`${token.rawName} needs a value`, wayOut);
    if (kind === "flag" && token.value !== undefined && !/^(true|false)$/.test(token.value)) {
      failUsage(`${token.rawName} takes no value`, wayOut);
    }
  }
  // A command that takes words may take many, as `replay` does files.
  const takesWords = Object.values(defs).some((def) => def.type === "positional");
  const word = tokens.find((token) => token.kind === "positional");
  if (word && !takesWords) failUsage(`${word.value} is one word too many`, wayOut);
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function short(name: string): { short?: string } {
  return name.length === 1 ? { short: name } : {};
}
