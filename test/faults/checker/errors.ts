import { Status } from "nice-grpc";
import { ErrorReason } from "../../../src/model/errors.ts";
import { statusOf } from "../../../src/net/errors.ts";
import type { History, SeenError } from "../history.ts";
import { type Findings, lineOf } from "./findings.ts";

/** Which errors a fault brings about that nobody should see otherwise. */
export interface ErrorRules {
  /** Whether the server meets errors that nobody foresaw: INTERNAL with the reason UNSPECIFIED. */
  allowInternal: boolean;
  /** Reasons of {@link rareReasons} that the fault brings about. */
  allowReasons: ReadonlySet<string>;
}

/** The code of each reason, as docs/errors.md has it. */
const codes: ReadonlyMap<string, string> = new Map(
  Object.entries(statusOf).map(([reason, status]) => [
    ErrorReason[Number(reason)] as string,
    Status[status] as string,
  ]),
);

/** Reasons that a client which keeps to the protocol, and a server with room on its disk, give no rise to. */
const rareReasons: ReadonlySet<string> = new Set([
  "STORAGE_FULL",
  "UNDECODABLE_REQUEST",
  "INVALID_METADATA",
  "CURSOR_OF_ANOTHER_EPOCH",
  "CURSOR_IN_FUTURE",
]);

/** Codes that stand for a lost connection or the client's own patience, when no reason is given. */
const transportCodes: ReadonlySet<string> = new Set(["UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED"]);

/** What grpc-js itself says with other codes when a connection breaks: how the message begins. */
const transportMessages: ReadonlyArray<{ code: string; prefix: string }> = [
  // The stream was reset: also how Node ends the streams of a socket that is gone, with code 0 or 2.
  { code: "INTERNAL", prefix: "Received RST_STREAM with code " },
  // The connection went away between its choice and the first byte.
  { code: "INTERNAL", prefix: "Failed to start HTTP/2 stream with error " },
  // The stream had ended when a message was to be written.
  { code: "INTERNAL", prefix: "Write error: " },
  // RST_STREAM or GOAWAY with ENHANCE_YOUR_CALM: calls begin and end too fast (docs/protocol.md).
  { code: "RESOURCE_EXHAUSTED", prefix: "Bandwidth exhausted or memory limit exceeded" },
];

/** I14 HonestErrors: each error has a documented reason with its code, or is the transport's. */
export function checkErrors(history: History, rules: ErrorRules, findings: Findings): void {
  history.entries.forEach((entry, index) => {
    if (!("error" in entry) || entry.error === undefined) return;
    const wrong = faultOf(entry.error, rules);
    if (wrong === undefined) return;
    const { code, reason, message } = entry.error;
    const [firstLine] = message.split("\n");
    findings.add(
      "I14",
      `${lineOf(history, index)}: ${wrong}: ${code} ${reason || "without a reason"}: ${firstLine}`,
    );
  });
}

function faultOf({ code, reason, message }: SeenError, rules: ErrorRules): string | undefined {
  if (reason === "") {
    if (transportCodes.has(code)) return undefined;
    const isTransport = transportMessages.some(
      (known) => known.code === code && message.startsWith(known.prefix),
    );
    return isTransport ? undefined : "an error without a reason";
  }
  const documented = codes.get(reason);
  if (documented === undefined) return "a reason that is not documented";
  if (documented !== code) return `a reason of ${documented}`;
  if (reason === "UNSPECIFIED") return rules.allowInternal ? undefined : "an error that nobody foresaw";
  if (rareReasons.has(reason) && !rules.allowReasons.has(reason)) return "a reason that nothing gave rise to";
  return undefined;
}
