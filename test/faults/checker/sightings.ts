import type { DumpEvent } from "../dump.ts";
import type { SeenEvent } from "../history.ts";
import { type Findings, nameOf, type Place } from "./findings.ts";
import type { LogIndex } from "./log-index.ts";

const fields = ["position", "kind", "messageId", "senderId", "clientMessageId", "body"] as const;

/**
 * I4 Agreement: an event that somebody saw is what the log has at its place.
 *
 * @returns the log's event at that place
 */
export function checkAgreement(
  where: Place,
  seen: SeenEvent,
  log: LogIndex,
  findings: Findings,
): DumpEvent | undefined {
  const stored = log.at(seen.conversationId, seen.seq);
  if (stored === undefined) {
    const ahead = seen.position > log.lastPosition ? `, which ends at position ${log.lastPosition}` : "";
    findings.add("I4", `${where}: ${nameOf(seen)} is not in the log${ahead}`);
    return undefined;
  }
  for (const field of fields) {
    // Clients note the sender of messages only.
    if (field === "senderId" && seen.kind !== "message" && stored.kind !== "message") continue;
    if (seen[field] === stored[field]) continue;
    findings.add("I4", `${where}: ${nameOf(seen)} has ${field} ${seen[field]}, in the log ${stored[field]}`);
    break;
  }
  return stored;
}
