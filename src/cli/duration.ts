const secondsOf = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** Reads a duration such as `90s`, `15m`, `1h` or `30d` as seconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const match = /^([1-9]\d{0,8})([smhd])$/.exec(text);
  if (!match) return undefined;
  return Number(match[1]) * secondsOf[match[2] as keyof typeof secondsOf];
}
