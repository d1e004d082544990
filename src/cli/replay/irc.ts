/** An event of an IRC channel; a log holds them in order. */
export type IrcStep = {
  /** Minutes since the midnight the log begins after. */
  minute: number;
} & (
  | {
      kind: "say";
      nick: string;
      /** What was said, to the byte. For an action, what follows the nick. */
      text: string;
      /** The nick of the user of this day that the line is addressed to, if any. */
      to: string | undefined;
    }
  | { kind: "join" | "leave"; nick: string }
  | { kind: "rename"; nick: string; to: string }
);

/** A day of a channel. */
export interface IrcDay {
  /** Everyone who spoke, joined or took a new nick, in the order of appearance. */
  nicks: string[];
  steps: IrcStep[];
  /** Spoken lines without any text, which no message can hold. */
  skipped: number;
}

// Text may hold every character but the line feed, so the dot has to match all.
const saidPattern = /^\[(\d\d):(\d\d)\] <([^>]+)>(?: (.*))?$/s;
const actionPattern = /^\[(\d\d):(\d\d)\] {1,2}\* (.*)$/s;
const joinedPattern = /^=== (.+?)(?:\s+\[.*\])?\s+has joined #\S+\s*$/s;
const leftPattern = /^=== (.+?)(?:\s+\[.*\])?\s+has left #\S+(?:\s.*)?$/s;
const renamedPattern = /^=== (.+?)\s+is now known as (.+?)\s*$/s;

type Raw =
  | { kind: "say"; clock: number; written: string; text: string }
  | { kind: "action"; clock: number; rest: string }
  | { kind: "join" | "leave"; written: string }
  | { kind: "rename"; written: string; to: string };

/**
 * Reads a day of a channel. Notices other than joins, leaves and new nicks are
 * passed over.
 *
 * The log writes a space behind each `]` of a nick (`[cc] smart` is
 * `[cc]smart`), nicks themselves have none: it is left out.
 */
export function parseIrcDay(log: string): IrcDay {
  const raws = log.split("\n").flatMap((line) => parseLine(line) ?? []);
  const writtenAs = nicksAsWritten(raws);
  const nicks = new Set<string>();
  const steps: IrcStep[] = [];
  const clock = new Clock();
  let skipped = 0;

  const say = (nick: string, text: string) => {
    nicks.add(nick);
    if (text === "") skipped++;
    else steps.push({ minute: clock.minute, kind: "say", nick, text, to: addressee(text, nick, writtenAs) });
  };

  for (const raw of raws) {
    if (raw.kind === "say") {
      clock.move(raw.clock);
      say(nickOf(raw.written), raw.text);
    } else if (raw.kind === "action") {
      clock.move(raw.clock);
      const written = actorOf(raw.rest, writtenAs);
      say(nickOf(written), raw.rest.slice(written.length + 1));
    } else if (raw.kind === "rename") {
      const to = nickOf(raw.to);
      nicks.add(to);
      steps.push({ minute: clock.minute, kind: "rename", nick: nickOf(raw.written), to });
    } else {
      const nick = nickOf(raw.written);
      if (raw.kind === "join") nicks.add(nick);
      steps.push({ minute: clock.minute, kind: raw.kind, nick });
    }
  }
  return { nicks: [...nicks], steps, skipped };
}

function parseLine(line: string): Raw | undefined {
  const said = saidPattern.exec(line);
  if (said) return { kind: "say", clock: clockOf(said), written: said[3] ?? "", text: said[4] ?? "" };
  const action = actionPattern.exec(line);
  if (action) return { kind: "action", clock: clockOf(action), rest: action[3] ?? "" };
  const joined = joinedPattern.exec(line);
  if (joined) return { kind: "join", written: joined[1] ?? "" };
  const left = leftPattern.exec(line);
  if (left) return { kind: "leave", written: left[1] ?? "" };
  const renamed = renamedPattern.exec(line);
  if (renamed) return { kind: "rename", written: renamed[1] ?? "", to: renamed[2] ?? "" };
  return undefined;
}

function clockOf(match: RegExpExecArray): number {
  return Number(match[1]) * 60 + Number(match[2]);
}

/** The minutes of a log, which go on after midnight. */
class Clock {
  minute = 0;
  #days = 0;

  move(clock: number): void {
    if (this.#days * 1440 + clock < this.minute - 720) this.#days++;
    this.minute = Math.max(this.minute, this.#days * 1440 + clock);
  }
}

function nickOf(written: string): string {
  return written.replace(/\s+/g, "");
}

/** The users of the day by every way their nicks are written. */
function nicksAsWritten(raws: readonly Raw[]): Map<string, string> {
  const nicks = new Map<string, string>();
  const add = (written: string) => {
    const nick = nickOf(written);
    for (const form of [written, written.trim(), nick]) nicks.set(form, nick);
  };
  for (const raw of raws) {
    if (raw.kind === "say" || raw.kind === "join") add(raw.written);
    if (raw.kind === "rename") add(raw.to);
  }
  return nicks;
}

/** Returns the nick, as written, that an action begins with: the longest that is known, else the first word. */
function actorOf(rest: string, writtenAs: ReadonlyMap<string, string>): string {
  let actor = "";
  for (let at = rest.indexOf(" "); at !== -1; at = rest.indexOf(" ", at + 1)) {
    if (actor === "" || writtenAs.has(rest.slice(0, at))) actor = rest.slice(0, at);
  }
  return actor === "" ? rest : actor;
}

/** Returns the user of the day whose nick, before a colon or a comma, begins the text. */
function addressee(
  text: string,
  speaker: string,
  writtenAs: ReadonlyMap<string, string>,
): string | undefined {
  const end = text.search(/[:,]/);
  const nick = end === -1 ? undefined : writtenAs.get(text.slice(0, end));
  return nick === speaker ? undefined : nick;
}
