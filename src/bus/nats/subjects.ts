/**
 * Names of NATS subjects for those of the port. NATS splits a subject at its
 * dots, and a token must not be empty nor hold white space, control characters,
 * `*` or `>`; ids may hold all of these. So everything but `A-Z a-z 0-9 _ -` is
 * written as an escape: `=` and two hexadecimal digits for a UTF-16 code unit
 * below 256, `~` and four for others. Each string has a name of its own, and
 * plain ids stay readable.
 */

const plain = /^[A-Za-z0-9_-]+$/;
const special = /[^A-Za-z0-9_-]/g;

/** Returns the NATS subject of a subject of the port such as `user.alice`: two tokens below the prefix. */
export function natsSubjectOf(prefix: string, subject: string): string {
  const dot = subject.indexOf(".");
  if (dot < 0) return `${prefix}.${tokenOf(subject)}`;
  return `${prefix}.${tokenOf(subject.slice(0, dot))}.${tokenOf(subject.slice(dot + 1))}`;
}

/** Returns the subject below which one process gets its answers. No subject of the port has its second token. */
export function inboxOf(prefix: string, id: string): string {
  return `${prefix}.=inbox.${id}`;
}

function tokenOf(text: string): string {
  if (plain.test(text)) return text;
  // A token must not be empty; a lone `=` is no escape.
  if (text === "") return "=";
  return text.replace(special, escapeUnit);
}

function escapeUnit(unit: string): string {
  const code = unit.charCodeAt(0);
  return code < 0x100 ? `=${code.toString(16).padStart(2, "0")}` : `~${code.toString(16).padStart(4, "0")}`;
}
