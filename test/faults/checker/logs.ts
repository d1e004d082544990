import type { ServerExit } from "../server.ts";
import { Findings } from "./findings.ts";
import type { Violation } from "./violation.ts";

/** What a server left behind. */
export interface LogOptions {
  /** Everything it wrote to its standard error output. */
  log: string;
  /** Every end of its process. */
  exits: readonly ServerExit[];
  /** A text that every message body has and nothing else. */
  bodyMarker: string;
  /** Lines that are for people instead of programs, and in order. By default none are. */
  saidToPeople?: RegExp | undefined;
}

/** A session token: the prefix, then 256 random bits in base64url. */
const token = /parlance_[\w-]{43}/;
const crash = /unhandled|uncaught/i;

/**
 * Checks what a server wrote and how it ended: I15 NoCrash, it ends only when
 * asked to and rejects nothing unhandled; I17 CleanLogs, each line is one JSON
 * object, without tokens and message bodies.
 */
export function checkLog({ log, exits, bodyMarker, saidToPeople }: LogOptions): Violation[] {
  const findings = new Findings();
  for (const [index, { how, asked, lastWords }] of exits.entries()) {
    const words = lastWords ? `; it wrote last: ${lastWords}` : "";
    if (!asked) findings.add("I15", `process ${index + 1} ended with ${how} by itself${words}`);
  }
  // In JSON, a marker with quotes or backslashes is written in another way.
  const markers = [bodyMarker, JSON.stringify(bodyMarker).slice(1, -1)];
  for (const [index, line] of log.split("\n").entries()) {
    if (line === "") continue;
    const where = `log line ${index + 1}`;
    if (crash.test(line)) findings.add("I15", `${where}: ${short(line)}`);
    if (!isJsonObject(line) && !saidToPeople?.test(line))
      findings.add("I17", `${where} is not a JSON object: ${short(line)}`);
    if (token.test(line)) findings.add("I17", `${where} has a session token`);
    if (markers.some((marker) => line.includes(marker)))
      findings.add("I17", `${where} has a message body: ${short(line)}`);
  }
  return findings.violations;
}

function isJsonObject(line: string): boolean {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function short(line: string): string {
  return line.length <= 200 ? line : `${line.slice(0, 200)}…`;
}
