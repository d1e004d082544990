/** Writes warnings that could come with every message: each text once in a while, with how often it was left out. */
export interface RareLog {
  warn(fields: object, message: string): void;
}

/** Makes a log that writes each text at most once in `pauseMs`. Texts are few and fixed. */
export function createRareLog(
  log: { warn(fields: object, message: string): void },
  pauseMs: number,
): RareLog {
  const seen = new Map<string, { nextMs: number; leftOut: number }>();
  return {
    warn(fields, message) {
      const nowMs = performance.now();
      const entry = seen.get(message);
      if (entry !== undefined && nowMs < entry.nextMs) {
        entry.leftOut++;
        return;
      }
      seen.set(message, { nextMs: nowMs + pauseMs, leftOut: 0 });
      log.warn(entry?.leftOut ? { ...fields, leftOut: entry.leftOut } : fields, message);
    },
  };
}
