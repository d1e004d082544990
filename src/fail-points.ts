/**
 * Fail points: named places where a test build fails on purpose, so that tests
 * can break the server at the worst moment. They are dead, and cost one
 * comparison each, unless the process was started as a test build
 * (`node --conditions=parlance-test-build`) and `PARLANCE_FAILPOINTS` says what
 * is to happen where:
 *
 *     append.after-commit=exit@3;handler=delay:50%10
 *
 * that is `NAME=ACTION[:MS][@HIT][%PERCENT]`, several separated by `;`.
 *
 * | action     | does |
 * | ---------- | --- |
 * | `exit`     | ends the process at once, as `kill -9` does |
 * | `throw`    | throws an error |
 * | `sleep:MS` | blocks the thread, idle |
 * | `spin:MS`  | blocks the thread, busy |
 * | `delay:MS` | waits without blocking; only where the place can wait |
 * | `drop`     | has the place leave out its work; only where it can |
 *
 * `@3` means the third hit only, `@3+` the third and all later ones, `%10` with
 * a probability of 10 percent, drawn from a generator that `PARLANCE_TEST_SEED`
 * seeds. Every thread counts its own hits.
 */

/** Actions of fail points besides `exit`, `throw`, `sleep` and `spin`. */
interface Place {
  /** Whether it can wait without blocking its thread: `delay`. */
  waits?: true;
  /** Whether it can leave out its work: `drop`. */
  drops?: true;
}

const places = {
  /** The store's writer, before it commits a batch that holds appends. */
  "append.before-commit": {},
  /** The same, after the commit and before anyone hears of it. */
  "append.after-commit": {},
  /** After the store has answered a send, before its sender is answered. */
  "send.before-answer": { waits: true },
  /** Before an event that this node appended is published; `drop` leaves it to the tail follower. */
  publish: { drops: true },
  /** Before a message goes to NATS; `drop` loses it on the way to all other processes. */
  "bus.send": { drops: true },
  /** When a message has come from NATS; `drop` loses it for this process. */
  "bus.receive": { drops: true },
  /** Before the readers of new events are woken, after the senders of this turn were answered. */
  "wake.before-readers": {},
  /** Before a unary call, or a request of a stream, is carried out. */
  handler: { waits: true },
  /** Once a second in the event loop. */
  "event-loop": {},
  /** Before a step of the schema is committed; once per step. */
  "migration.before-commit": {},
  /** After a step of the schema was committed; once per step. */
  "migration.after-commit": {},
  /** Before a restored store takes the place of what was there. */
  "restore.before-publish": {},
} as const satisfies Record<string, Place>;

/** The name of a fail point. */
export type FailPointName = keyof typeof places;

/** The names of all fail points. */
export const failPointNames = Object.keys(places) as FailPointName[];

/** The variable that says what is to happen. */
export const failPointsVariable = "PARLANCE_FAILPOINTS";
/** The option of node that makes a process a test build. */
export const testBuildFlag = "--conditions=parlance-test-build";

type Action = "exit" | "throw" | "sleep" | "spin" | "delay" | "drop";

/** The action of a fail point, and when it happens. */
interface Rule {
  action: Action;
  ms: number;
  /** The first hit that counts. */
  fromHit: number;
  /** The last hit that counts. */
  toHit: number;
  /** From 0 to 1. */
  probability: number;
}

/** A fail point that is armed. */
interface Armed {
  rules: readonly Rule[];
  hits: number;
  random: () => number;
}

/** Fail points by name. */
export type FailPoints = ReadonlyMap<string, Armed>;

/**
 * Reads what `PARLANCE_FAILPOINTS` holds.
 *
 * @param seed for those that have a probability
 * @throws Error in one line that says what is wrong
 */
export function parseFailPoints(text: string, seed: number): FailPoints {
  const armed = new Map<string, Armed>();
  for (const part of text.split(";")) {
    if (part.trim() === "") continue;
    const { name, rule } = parseRule(part.trim());
    const { rules = [] } = armed.get(name) ?? {};
    armed.set(name, { rules: [...rules, rule], hits: 0, random: createRandom(seed, name) });
  }
  return armed;
}

/**
 * Fails here, if that is what the test build was told.
 *
 * @returns whether the place is to leave out its work
 */
export function failPoint(name: FailPointName, points = own): boolean {
  return points !== undefined && hit(name, points)?.action === "drop";
}

/**
 * Fails here, in a place that can wait.
 *
 * @returns what to wait for, or undefined to go on at once
 */
export function waitingFailPoint(name: FailPointName, points = own): Promise<void> | undefined {
  if (points === undefined) return undefined;
  const rule = hit(name, points);
  return rule?.action === "delay" ? new Promise((resolve) => setTimeout(resolve, rule.ms)) : undefined;
}

/** Counts a hit, does what can be done here, and returns the rule that applied. */
function hit(name: FailPointName, points: FailPoints): Rule | undefined {
  const armed = points.get(name);
  if (armed === undefined) return undefined;
  armed.hits++;
  const rule = armed.rules.find(
    ({ fromHit, toHit, probability }) =>
      armed.hits >= fromHit && armed.hits <= toHit && (probability === 1 || armed.random() < probability),
  );
  switch (rule?.action) {
    case "exit":
      process.kill(process.pid, "SIGKILL");
      break;
    case "throw":
      throw new Error(`fail point ${name}`);
    case "sleep":
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, rule.ms);
      break;
    case "spin":
      for (const end = performance.now() + rule.ms; performance.now() < end; );
      break;
  }
  return rule;
}

const rulePattern =
  /^(?<name>[^=]+)=(?<action>[a-z]+)(:(?<ms>\d{1,9}))?(@(?<hit>[1-9]\d{0,8})(?<on>\+)?)?(%(?<percent>\d+(\.\d+)?))?$/;

function parseRule(text: string): { name: string; rule: Rule } {
  const found = rulePattern.exec(text)?.groups;
  if (found === undefined) throw new Error(`"${text}" is not NAME=ACTION[:MS][@HIT[+]][%PERCENT]`);
  const name = found["name"] as string;
  const action = found["action"] as Action;
  const place: Place | undefined = Object.hasOwn(places, name) ? places[name as FailPointName] : undefined;
  if (place === undefined)
    throw new Error(`there is no fail point "${name}"; there are ${failPointNames.join(", ")}`);
  const isTimed = action === "sleep" || action === "spin" || action === "delay";
  if (!isTimed && action !== "exit" && action !== "throw" && action !== "drop")
    throw new Error(`"${text}": there is no action "${action}"`);
  if ((action === "delay" && !place.waits) || (action === "drop" && !place.drops))
    throw new Error(`"${text}": ${name} cannot ${action}`);
  if (isTimed && found["ms"] === undefined)
    throw new Error(`"${text}": ${action} takes a time, as in ${action}:100`);
  if (!isTimed && found["ms"] !== undefined) throw new Error(`"${text}": ${action} takes no time`);
  const percent = Number(found["percent"] ?? 100);
  if (percent > 100) throw new Error(`"${text}": a probability is at most 100`);
  const fromHit = Number(found["hit"] ?? 1);
  const isOneHit = found["hit"] !== undefined && found["on"] === undefined;
  return {
    name,
    rule: {
      action,
      ms: Number(found["ms"] ?? 0),
      fromHit,
      toHit: isOneHit ? fromHit : Number.POSITIVE_INFINITY,
      probability: percent / 100,
    },
  };
}

/**
 * Makes a generator of numbers from 0 to below 1 that follow from a seed and a
 * name, so that each user of a seed draws the same ones whatever runs beside it.
 * Mulberry32: small, and good enough to choose moments and messages.
 */
export function createRandom(seed: number, name: string): () => number {
  let state = seed;
  for (const unit of name) state = Math.imul(state ^ (unit.codePointAt(0) ?? 0), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x100000000;
  };
}

/** The settings of this thread: none, something that is ignored, something wrong, or its fail points. */
function readOwn(): { points?: FailPoints; ignored?: true; problem?: string } {
  const text = process.env[failPointsVariable];
  if (!text) return {};
  if (!process.execArgv.includes(testBuildFlag)) return { ignored: true };
  try {
    return { points: parseFailPoints(text, Number(process.env["PARLANCE_TEST_SEED"] ?? 0)) };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

const { points: own, ignored, problem } = readOwn();

/** Whether `PARLANCE_FAILPOINTS` is set without effect, because this is no test build. */
export const failPointsIgnored = ignored === true;
/** Returns what is wrong with `PARLANCE_FAILPOINTS`, in one line; undefined when nothing is. */
export const failPointsProblem = problem;
