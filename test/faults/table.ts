import type { Row } from "./fault.ts";

/** A row as a line for people, with what was broken below it. */
export function tableLine({ id, name, rounds, violations, figure, seconds, broken, skipped }: Row): string {
  const head = `${id.padEnd(5)} ${name.padEnd(24)}`;
  if (skipped !== undefined) return `${head} not run: ${skipped}`;
  const verdict = violations === 0 ? "held  " : `BROKEN (${violations})`;
  const lines = broken.map(({ rule, text }) => `        ${rule}: ${text}`);
  return [`${head} ${verdict} ${rounds} rounds, ${seconds} s: ${figure}`, ...lines].join("\n");
}
