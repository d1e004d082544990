/** The commands that are typed in the chat, and how a line is read. */

/** What `/help` says of a command. */
interface CommandHelp {
  usage: string;
  help: string;
  /** The fewest words that have to follow. */
  min?: number;
}

/** Every command of the chat. */
export const commands = {
  msg: { usage: "/msg USER TEXT", help: "write to a user", min: 2 },
  open: { usage: "/open USER|#GROUP", help: "open a conversation", min: 1 },
  group: { usage: "/group [--open] NAME USER…", help: "create a group", min: 1 },
  invite: { usage: "/invite USER…", help: "add users to the group", min: 1 },
  remove: { usage: "/remove USER…", help: "remove users from it", min: 1 },
  join: { usage: "/join GROUP", help: "join an open group", min: 1 },
  leave: { usage: "/leave", help: "leave this group" },
  members: { usage: "/members", help: "who is in this group" },
  history: { usage: "/history [N]", help: "load N older messages" },
  retry: { usage: "/retry", help: "send failed ones again" },
  help: { usage: "/help", help: "this list" },
  quit: { usage: "/quit", help: "leave the chat" },
} as const satisfies Record<string, CommandHelp>;

/** The name of a command. */
export type CommandName = keyof typeof commands;

/** What a typed line means. */
export type Line =
  | { kind: "empty" }
  | { kind: "text"; text: string }
  | {
      kind: "command";
      name: CommandName;
      /** The words after the name; quotes hold words together. */
      words: readonly string[];
      /** What follows the first word, as it was typed. */
      rest: string;
    }
  | { kind: "mistake"; message: string };

/** Whether a line is a command, also one that is not finished. */
export function isCommandLine(line: string): boolean {
  return line.startsWith("/") && !line.startsWith("//");
}

/** Reads a line: a command when it begins with `/`, else a text. `//` begins a text with one slash. */
export function parseLine(line: string): Line {
  if (line.trim() === "") return { kind: "empty" };
  if (!isCommandLine(line)) return { kind: "text", text: line.startsWith("/") ? line.slice(1) : line };
  const [, name = "", after = ""] = /^\/(\S*)\s*(.*)$/s.exec(line) ?? [];
  if (!isCommand(name)) {
    const names = Object.keys(commands).map((each) => `/${each}`);
    return { kind: "mistake", message: `/${name} is no command; there are ${names.join(" ")}` };
  }
  const { usage, min = 0 }: CommandHelp = commands[name];
  const words = wordsOf(after);
  if (words.length < min) return { kind: "mistake", message: `more is needed: ${usage}` };
  return { kind: "command", name, words, rest: after.replace(/^("[^"]*"|\S+)\s?/, "") };
}

/** What `/help` says of keys, short enough for a terminal of 80 columns. */
const keyLines = [
  "//TEXT          a text that begins with a slash",
  "Tab, Alt-A      to what is unread; in a command:",
  "                complete it",
  "Ctrl-N, Ctrl-P  to the next or previous; Alt-1…9",
  "PgUp, PgDn      scroll; older ones are loaded",
  "↑, ↓            what was sent before",
  "Alt-Enter       a new line; Ctrl-W, U, K delete",
];

/** Returns the lines of `/help`. */
export function helpLines(): string[] {
  const all = Object.values<CommandHelp>(commands);
  const width = Math.max(...all.map(({ usage }) => usage.length));
  return [...all.map(({ usage, help }) => `${usage.padEnd(width)}  ${help}`), ...keyLines];
}

/**
 * Completes the command or the name before the cursor.
 *
 * @param names the names known, of users and of groups with `#`
 * @returns the line with as much added as is certain, or undefined when there is nothing to add
 */
export function complete(line: string, names: readonly string[]): string | undefined {
  const commandStart = /^\/(\w*)$/.exec(line)?.[1];
  if (commandStart !== undefined) {
    const added = longestOf(commandStart, Object.keys(commands));
    return added === undefined ? undefined : `/${added}`;
  }
  const [, before, word = ""] = /^(\/.*\s)(\S+)$/.exec(line) ?? [];
  if (before === undefined) return undefined;
  const added = longestOf(word, names);
  return added === undefined ? undefined : before + added;
}

function longestOf(start: string, choices: readonly string[]): string | undefined {
  const fitting = choices.filter((choice) => choice.startsWith(start));
  const [first] = fitting;
  if (first === undefined) return undefined;
  if (fitting.length === 1) return `${first} `;
  let length = start.length;
  while (fitting.every((choice) => choice[length] !== undefined && choice[length] === first[length]))
    length++;
  return length > start.length ? first.slice(0, length) : undefined;
}

function wordsOf(text: string): string[] {
  return Array.from(text.matchAll(/"([^"]*)"|(\S+)/g), ([, quoted, bare]) => quoted ?? bare ?? "");
}

function isCommand(name: string): name is CommandName {
  return Object.hasOwn(commands, name);
}
