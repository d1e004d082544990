const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const shortDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const longDay = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const longDate = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const dayMs = 86_400_000;

/** Such as `14:05`. */
export function timeOfDay(timeMs: number): string {
  return time.format(timeMs);
}

/** As short as a list wants it: a time today, a weekday in the last days, else a date. */
export function shortTime(timeMs: number, nowMs = Date.now()): string {
  const days = daysBetween(timeMs, nowMs);
  if (days <= 0) return time.format(timeMs);
  if (days < 7) return weekday.format(timeMs);
  return shortDate.format(timeMs);
}

/** The name of a day, for the line between messages. */
export function dayName(timeMs: number, nowMs = Date.now()): string {
  const days = daysBetween(timeMs, nowMs);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return days > 0 && days < 180 ? longDay.format(timeMs) : longDate.format(timeMs);
}

/** The same text for all times of one day here. */
export function dayKey(timeMs: number): string {
  return new Date(timeMs).toDateString();
}

/** When somebody was last there, such as `5 minutes ago`. */
export function ago(timeMs: number, nowMs = Date.now()): string {
  const minutes = Math.floor((nowMs - timeMs) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return minutes === 1 ? "a minute ago" : `${minutes} minutes ago`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return hours === 1 ? "an hour ago" : `${hours} hours ago`;
  return `on ${longDay.format(timeMs)}`;
}

function daysBetween(fromMs: number, toMs: number): number {
  return Math.round((startOfDay(toMs) - startOfDay(fromMs)) / dayMs);
}

function startOfDay(timeMs: number): number {
  return new Date(timeMs).setHours(0, 0, 0, 0);
}
