/**
 * The rules, by the short names of docs/reliability.md: I1 Durable, I2
 * NoPhantom, I3 Dense, I4 Agreement, I5 Ordered and unique, I6 Reliable, I7
 * Resumable, I8 OneEffect, I9 MembersOnly, I11 Bounded, I12 Live, I13
 * PresenceTrue, I14 HonestErrors, I15 NoCrash, I16 CalmRecovery, I17 CleanLogs. `run`: the fault did not come to its end.
 */
export type Rule =
  | "I1"
  | "I2"
  | "I3"
  | "I4"
  | "I5"
  | "I6"
  | "I7"
  | "I8"
  | "I9"
  | "I11"
  | "I12"
  | "I13"
  | "I14"
  | "I15"
  | "I16"
  | "I17"
  | "run";

/** A rule that was broken, and where. */
export interface Violation {
  rule: Rule;
  /** Who or what broke it, and how; one line. */
  text: string;
}
